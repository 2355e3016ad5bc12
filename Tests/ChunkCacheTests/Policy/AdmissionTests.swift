import ChunkCache
import Testing

struct AdmissionTests {
    @Test("always admits everything, at once")
    func always() {
        var admission = Admission.always
        admission.memory = 5
        #expect(admission.memory == 0)
        for index in 0..<100 { #expect(admission.admit(chunk(index), lastIndex: 1000) == true) }
    }

    @Test("second-hit admits what it is asked about again, and from then on")
    func secondHit() {
        var admission = Admission.secondHit(remembering: 10)
        #expect(admission.admit(chunk(1), lastIndex: 9) == false)
        #expect(admission.admit(chunk(1, of: 2), lastIndex: 9) == false, "another object")
        #expect(admission.admit(chunk(2), lastIndex: 9) == false, "another chunk")
        #expect(admission.admit(chunk(1), lastIndex: 9) == true)
        #expect(admission.admit(chunk(1), lastIndex: 9) == true)
    }

    @Test(
        "the first and the last chunk of an object are admitted at once",
        arguments: [(0, 0, true), (0, 9, true), (9, 9, true), (1, 9, false), (8, 9, false)] as [(Int, UInt64, Bool)]
    )
    func edges(_ index: Int, _ lastIndex: UInt64, _ isAdmitted: Bool) {
        var admission = Admission.secondHit(remembering: 10)
        #expect(admission.admit(chunk(index), lastIndex: lastIndex) == isAdmitted)
    }

    @Test("a first or last chunk takes nobody's place in the memory")
    func edgesTakeNoPlace() {
        var admission = Admission.secondHit(remembering: 1)
        #expect(admission.admit(chunk(1), lastIndex: 9) == false)
        #expect(admission.admit(chunk(0), lastIndex: 9) == true)
        #expect(admission.admit(chunk(1), lastIndex: 9) == true)
    }

    @Test("only the last sightings are remembered, of which a repeated one is the latest", arguments: [1, 2, 7, 100])
    func bounded(_ memory: Int) {
        var admission = Admission.secondHit(remembering: memory)
        for index in 1...memory { #expect(admission.admit(chunk(index), lastIndex: 10000) == false) }
        #expect(admission.admit(chunk(1), lastIndex: 10000) == true)
        for index in 1..<memory { #expect(admission.admit(chunk(1000 + index), lastIndex: 10000) == false) }
        #expect(admission.admit(chunk(1), lastIndex: 10000) == true)
        for index in 0..<memory { #expect(admission.admit(chunk(2000 + index), lastIndex: 10000) == false) }
        #expect(admission.admit(chunk(1), lastIndex: 10000) == false)
    }

    @Test("a change of the memory keeps the latest sightings")
    func resized() {
        var admission = Admission.secondHit(remembering: 10)
        for index in 1...13 { _ = admission.admit(chunk(index), lastIndex: 1000) }
        admission.memory = 4
        var copy = admission
        #expect(copy.admit(chunk(9), lastIndex: 1000) == false)
        admission.memory = 100
        for index in 10...13 { #expect(admission.admit(chunk(index), lastIndex: 1000) == true) }
        #expect(admission.admit(chunk(9), lastIndex: 1000) == false)
    }

    @Test("a memory of nothing admits first and last chunks only", arguments: [0, -1])
    func noMemory(_ memory: Int) {
        var admission = Admission.secondHit(remembering: memory)
        #expect(admission.admit(chunk(0), lastIndex: 9) == true)
        for _ in 0..<3 { #expect(admission.admit(chunk(1), lastIndex: 9) == false) }
    }
}
