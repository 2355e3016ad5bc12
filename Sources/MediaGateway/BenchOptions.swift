import ArgumentParser
import Config
import Foundation
import LoadBench

/// What no run may exceed.
enum BenchLimits {
    static let size: Int64 = 1 << 40
    static let duration = Duration.seconds(24 * 3600)
}

struct ConnectionOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How many there are, unless --stages says so.", valueName: "count"))
    var connections = 10

    func validate() throws {
        guard connections > 0 else { throw ValidationError("--connections is at least 1.") }
    }

    func stages(_ load: LoadOptions) -> LoadStages {
        load.stages ?? LoadStages(connections, for: load.duration.duration)
    }
}

struct ContentOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A file that has the same bytes, or, for several films, a folder with files of the same names. "
                + "(default: every block of 16 KiB is compared with the first time it came, from whatever server)",
            valueName: "path"
        )
    )
    var compare: String?

    @Flag(help: "Look at lengths, statuses and ranges, not at the bytes.")
    var noCompare = false

    func validate() throws {
        guard compare == nil || !noCompare else { throw ValidationError("--compare or --no-compare, not both.") }
    }

    /// Opens a file for each target where it compares with a folder.
    ///
    /// - Returns: a reference for each target.
    /// - Throws: ``LoadRefusal``.
    func references(for targets: [LoadTarget]) throws -> [ContentReference] {
        guard !noCompare else { return targets.map { _ in .unknown } }
        guard let compare else { return targets.map { _ in .first(BlockLedger()) } }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: compare, isDirectory: &isFolder), isFolder.boolValue else {
            guard targets.count == 1 else {
                throw LoadRefusal("--compare is a folder where there are several films", .wrongUsage)
            }
            return [.file(try ReferenceFile(path: compare))]
        }
        return try targets.map { target in
            guard let name = target.fileName else { throw LoadRefusal("\(target.shown) names no file", .wrongUsage) }
            return .file(try ReferenceFile(path: URL(filePath: compare).appending(path: name).path))
        }
    }
}

struct HabitOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How much of the film a player reads ahead, such as 20s.", valueName: "time"))
    var buffer = TimeArgument(seconds: 20)

    @Option(
        help: ArgumentHelp(
            "How much must be there before it plays, and goes on after a stall, such as 500ms.",
            valueName: "time"
        )
    )
    var readyAfter = TimeArgument(seconds: 1)

    @Option(help: ArgumentHelp("What is read of the beginning before the index, such as 256KiB.", valueName: "size"))
    var head = ByteSize(bytes: 256 << 10)

    @Option(help: ArgumentHelp("How far before the end the index is; 0B for none.", valueName: "size"))
    var index = ByteSize(bytes: 64 << 10)

    @Option(help: ArgumentHelp("Mean time between two jumps; 0s for none, here and below.", valueName: "time"))
    var seekEvery = TimeArgument(seconds: 30)

    @Option(help: ArgumentHelp("Mean time between two pauses, such as 1m.", valueName: "time"))
    var pauseEvery = TimeArgument(seconds: 60)

    @Option(help: ArgumentHelp("Mean length of a pause, such as 5s.", valueName: "time"))
    var pauseFor = TimeArgument(seconds: 5)

    @Option(
        help: ArgumentHelp(
            "Mean time until somebody hangs up, such as 2m; half of them come back, the others choose another film.",
            valueName: "time"
        )
    )
    var leaveEvery = TimeArgument(seconds: 120)

    @Option(help: ArgumentHelp("Mean time until they are back, such as 5s.", valueName: "time"))
    var awayFor = TimeArgument(seconds: 5)

    @Option(help: ArgumentHelp("How uneven films are liked: the k-th as 1/k^s; 0 for all alike.", valueName: "s"))
    var zipf = 1.0

    func validate() throws {
        guard (0...10).contains(zipf) else { throw ValidationError("--zipf is from 0 to 10.") }
        guard head.bytes <= BenchLimits.size, index.bytes <= BenchLimits.size else {
            throw ValidationError("--head and --index are at most \(ByteSize(bytes: BenchLimits.size)).")
        }
        let times = [buffer, readyAfter, seekEvery, pauseEvery, pauseFor, leaveEvery, awayFor].map(\.duration)
        guard times.allSatisfy({ $0 <= BenchLimits.duration }) else {
            throw ValidationError("No time is longer than \(BenchLimits.duration.configText).")
        }
        guard buffer.duration > .zero, readyAfter.duration <= buffer.duration else {
            throw ValidationError("--buffer is more than nothing, and no less than --ready-after.")
        }
    }

    func habits(_ rate: BitRate) -> PlayerHabits {
        var habits = PlayerHabits()
        habits.rate = rate
        habits.buffer = buffer.duration
        habits.readyAfter = readyAfter.duration
        habits.headLength = head.bytes
        habits.indexLength = index.bytes
        habits.seekEvery = seekEvery.duration
        habits.pauseEvery = pauseEvery.duration
        habits.pauseFor = pauseFor.duration
        habits.leaveEvery = leaveEvery.duration
        habits.awayFor = awayFor.duration
        return habits
    }
}

/// What every load has.
struct LoadOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How long, such as 30s or 5m, unless --stages says so.", valueName: "time"))
    var duration = TimeArgument(seconds: 30)

    @Option(
        help: ArgumentHelp(
            "How many at a time, from stage to stage on a straight line that begins at 0, such as 0:10s,20:30s,50:30s,0:10s.",
            valueName: "stages"
        )
    )
    var stages: LoadStages?

    @Option(help: ArgumentHelp("More at a time are refused.", valueName: "count"))
    var limit = 1000

    @Option(help: ArgumentHelp("How long a client waits for a byte, such as 30s.", valueName: "time"))
    var patience = TimeArgument(seconds: 30)

    @Option(
        help: ArgumentHelp("The same seed asks for the same. (default: another one each time)", valueName: "number")
    )
    var seed: UInt64?

    @Option(help: ArgumentHelp("Threads that ask.", valueName: "count"))
    var threads = 1

    @Option(
        help: ArgumentHelp(
            "A second server, such as http://127.0.0.1:8081, that has its turns with the first; who begins changes from "
                + "round to round. It is asked for the same paths, or with ping and range for the path that is given here. "
                + "Both are warmed up for a second before the first round, which is not measured.",
            valueName: "url"
        )
    )
    var against: LoadTarget?

    @Option(help: ArgumentHelp("How often. (default: 1, or 3 with --against)", valueName: "count"))
    var rounds: Int?

    @Option(help: ArgumentHelp("Writes the figures to this file, too.", valueName: "file"))
    var json: String?

    @Option(help: ArgumentHelp("Writes a page with figures and plots, which needs no other file.", valueName: "file"))
    var html: String?

    @Flag(help: "Servers of other machines, too.")
    var allowRemote = false

    func validate() throws {
        guard duration.duration > .zero, duration.duration <= BenchLimits.duration else {
            throw ValidationError("--duration is more than nothing, and at most \(BenchLimits.duration.configText).")
        }
        guard patience.duration > .zero, patience.duration <= .seconds(3600) else {
            throw ValidationError("--patience is more than nothing, and at most 1h.")
        }
        guard (1...100_000).contains(limit) else { throw ValidationError("--limit is from 1 to 100000.") }
        guard (1...64).contains(threads) else { throw ValidationError("--threads is from 1 to 64.") }
        guard (1...1000).contains(rounds ?? 1) else { throw ValidationError("--rounds is from 1 to 1000.") }
        let reports = [json, html].compactMap { $0 }.map { URL(filePath: $0).standardizedFileURL.path }
        guard Set(reports).count == reports.count else { throw ValidationError("--json and --html are two files.") }
    }

    /// Runs the load, tells of it, and ends the command with the right status.
    func run(
        _ work: LoadPlan.Work,
        stages: LoadStages,
        _ targets: [LoadTarget],
        content: ContentOptions? = nil,
        _ change: (inout LoadPlan) -> Void = { _ in }
    ) async throws {
        guard stages.highest <= limit else {
            throw ValidationError("\(stages.highest) at a time are more than --limit, which is \(limit).")
        }
        let session = try await orExit { try makeSession(work, stages, targets, content, change) }
        let files = try await orExit {
            (json: try json.map { try ReportFile(path: $0) }, html: try html.map { try ReportFile(path: $0) })
        }
        let (bar, invocation) = (ProgressBar(), LoadInvocation.current)
        let (outcome, signal) = try await untilSignal {
            try await session.run { progress in bar.show { _, width in progress.text(width: width) } }
        }
        bar.end()
        let report = LoadReport(session, outcome, invocation: invocation)
        try await orExit { try write(report, json: files.json, html: files.html) }
        if report.interrupted, let signal { throw ExitCode.interrupted(by: signal) }
        guard report.isFaultless else { throw ExitCode.failure }
    }

    /// Each is written even if another one cannot be.
    ///
    /// - Throws: ``LoadRefusal`` of the first that cannot.
    private func write(_ report: LoadReport, json: ReportFile?, html: ReportFile?) throws {
        let writes: [() throws -> Void] = [
            { try ReportFile.print(report.text) },
            { try json?.write(report.json()) },
            { try html?.write(Array(report.page.utf8)) },
        ]
        let results = writes.map { write in Result { try write() } }
        for result in results { try result.get() }
    }

    private func makeSession(
        _ work: LoadPlan.Work,
        _ stages: LoadStages,
        _ targets: [LoadTarget],
        _ content: ContentOptions?,
        _ change: (inout LoadPlan) -> Void
    ) throws -> LoadSession {
        guard let first = targets.first, targets.allSatisfy({ $0.isOnSameServer(as: first) }) else {
            throw LoadRefusal("all films are on one server; name the other one with --against", .wrongUsage)
        }
        DescriptorRoom.make(connections: stages.highest, files: targets.count)
        // The same for both servers, so that they are compared with each other.
        let references: [ContentReference] = try content?.references(for: targets) ?? targets.map { _ in .unknown }
        var contenders = [try contender(targets, references)]
        if let against { contenders.append(try contender(others(targets, on: against), references)) }
        var plan = LoadPlan(
            work,
            stages: stages,
            seed: seed ?? .random(in: 0...999_999),
            items: contenders[0].items
        )
        plan.patience = patience.duration
        plan.threads = threads
        change(&plan)
        return LoadSession(plan, contenders, rounds: rounds ?? (against == nil ? 1 : 3))
    }

    private func contender(_ targets: [LoadTarget], _ references: [ContentReference]) throws -> LoadSession.Contender {
        let server = try LoadServer(targets[0], allowsRemote: allowRemote)
        return LoadSession.Contender(
            name: targets.count == 1 ? targets[0].shown : "http://\(targets[0].authority)",
            server: server,
            items: zip(targets, references).map { LoadItem(path: $0.path, reference: $1, name: $0.shownPath) }
        )
    }

    private func others(_ targets: [LoadTarget], on server: LoadTarget) throws -> [LoadTarget] {
        if server.isBare { return targets.map { $0.on(server) } }
        guard targets.count == 1 else {
            throw LoadRefusal("--against is asked for the same films, so it is a server without a path", .wrongUsage)
        }
        return [server]
    }
}

/// Runs `body`; ends the command with one line if it refuses.
func orExit<Value>(_ body: () async throws -> Value) async throws -> Value {
    do {
        return try await body()
    } catch let refusal as LoadRefusal {
        complain("\(refusal)")
        switch refusal.code {
        case .wrongUsage: throw ExitCode.validationFailure
        case .failed: throw ExitCode.failure
        }
    }
}

/// The soft limit of open descriptors is often 1024.
private enum DescriptorRoom {
    /// As far as the hard limit allows; connections beyond it are errors of the run.
    static func make(connections: Int, files: Int) {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        // Some are closing while others open.
        let needed = rlim_t(2 * connections + files + 256)
        guard limit.rlim_cur < needed else { return }
        limit.rlim_cur = min(needed, limit.rlim_max)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
