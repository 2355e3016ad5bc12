import Foundation

/// `simulator TRACE CAPACITY...` prints, for each policy and each capacity in chunks, how many requests of the trace
/// there were and how many of them found their chunk: four columns, separated by tabs.
@main
struct Simulator {
    static func main() {
        do {
            let (path, capacities) = try arguments()
            let trace = try Trace(contentsOf: path)
            print("policy", "capacity", "requests", "hits", separator: "\t")
            for capacity in capacities {
                for candidate in Candidate.all {
                    var replay = Replay(candidate.make(capacity, trace))
                    replay.run(trace)
                    print(candidate.name, capacity, trace.requests.count, replay.hits, separator: "\t")
                }
            }
        } catch {
            try? FileHandle.standardError.write(contentsOf: Data("simulator: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func arguments() throws -> (path: String, capacities: [Int]) {
        let given = CommandLine.arguments.dropFirst()
        let capacities = given.dropFirst().map { Int($0) ?? 0 }
        guard let path = given.first, !capacities.isEmpty, capacities.allSatisfy({ $0 > 0 }) else {
            throw TraceError(message: "usage: simulator TRACE CAPACITY...")
        }
        return (path, capacities)
    }
}
