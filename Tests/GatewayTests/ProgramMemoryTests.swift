import ChunkCache
import Gateway
import Glibc
import Testing

struct ProgramMemoryTests {
    @Test("the code of the program and of its libraries is found")
    func own() throws {
        let areas = ProgramMemory.codeAreas.map(\.addresses)
        // A function of the C library, which is among the last.
        let function = try #require(dlsym(nil, "getline"))
        #expect(areas.contains { $0.contains(UInt(bitPattern: function)) })
        #expect(areas.allSatisfy { $0.lowerBound % 4096 == 0 && !$0.isEmpty })
        #expect(areas.count > 10)
    }
}
