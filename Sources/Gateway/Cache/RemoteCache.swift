import FoundationEssentials
import NIOPosix

/// The cache of a running gateway, through its admin listener.
struct RemoteCache: CacheOperations {
    private static let pollInterval = Duration.milliseconds(250)

    private let client: AdminClient

    /// - Parameter directory: where the cache is that is meant.
    /// - Returns: `nil` if no gateway that has a cache listens there.
    /// - Throws: ``CacheAccessError`` if one does and cannot be used, or has another cache.
    init?(_ client: AdminClient, directory: String) async throws {
        self.client = client
        guard let answer = try await Self.request(client, "GET", "/admin/v1/cache"), answer.status != 404 else {
            return nil
        }
        let report: CacheReport = try Self.decode(answer)
        guard
            URL(filePath: report.directory).resolvingSymlinksInPath().path
                == URL(filePath: directory).resolvingSymlinksInPath().path
        else {
            throw CacheAccessError(
                .unavailable,
                "the gateway on \(client.address) has its cache in \(report.directory), not in \(directory)"
            )
        }
    }

    func report() async throws -> CacheReport { try await get("/admin/v1/cache") }

    func items(_ query: CacheItemQuery) async throws -> CacheItemList {
        try await ask("GET", "/admin/v1/cache/items?\(query.query)", refusals: [404])
    }

    func purge(_ scope: PurgeScope, isSoft: Bool) async throws -> PurgeReport {
        try await ask("POST", "/admin/v1/cache/purge?\(scope.query)\(isSoft ? "&soft=true" : "")", refusals: [404])
    }

    func pins() async throws -> PinList { try await get("/admin/v1/cache/pins") }

    func pin(_ scope: PinScope) async throws -> PinReport {
        try await ask("POST", "/admin/v1/cache/pins?\(scope.query)", refusals: [404, 409])
    }

    func unpin(_ scope: PinScope) async throws -> PinReport {
        try await ask("DELETE", "/admin/v1/cache/pins?\(scope.query)", refusals: [404])
    }

    func verify(progress: @escaping @Sendable (VerifyReport) -> Void) async throws -> VerifyReport {
        var job: JobReport = try await ask("POST", "/admin/v1/cache/verify")
        while job.state == .running {
            do {
                try await Task.sleep(for: Self.pollInterval)
            } catch {
                // Not in this task, which is cancelled and can wait for nothing any more.
                _ = await Task { [id = job.id] in try? await cancel(id) }.value
                throw error
            }
            job = try await get("/admin/v1/jobs/\(job.id)")
            progress(job.progress)
        }
        switch job.state {
        case .running, .done: return job.progress
        case .cancelled: throw CacheAccessError(.unavailable, "the verification was cancelled")
        case .failed: throw CacheAccessError(.unavailable, "the verification failed: \(job.error ?? "")")
        }
    }

    private func cancel(_ id: Int) async throws -> JobReport { try await ask("DELETE", "/admin/v1/jobs/\(id)") }

    // MARK: - Requests

    private func get<Value: Decodable & Sendable>(_ target: String) async throws -> Value {
        try await ask("GET", target)
    }

    /// - Parameter refusals: the statuses by which the gateway says no; any other than those of success means that it cannot be
    ///   asked.
    private func ask<Value: Decodable & Sendable>(
        _ method: String,
        _ target: String,
        refusals: Set<Int> = []
    ) async throws -> Value {
        guard let answer = try await Self.request(client, method, target) else {
            throw CacheAccessError(.unavailable, "the gateway on \(client.address) has ended")
        }
        return try Self.decode(answer, refusals: refusals)
    }

    private static func request(
        _ client: AdminClient,
        _ method: String,
        _ target: String
    ) async throws -> AdminClient.Answer? {
        do {
            return try await NIOThreadPool.singleton.runIfActive { try client.request(method, target) }
        } catch let error as AdminClientError {
            throw CacheAccessError(.unavailable, error.description)
        }
    }

    private static func decode<Value: Decodable>(
        _ answer: AdminClient.Answer,
        refusals: Set<Int> = []
    ) throws -> Value {
        let decoder = JSONDecoder()
        let body = Data(answer.body)
        guard (200..<300).contains(answer.status) else {
            // Its keys are as they stand, and not converted.
            let problem = try? decoder.decode(ProblemDetails.self, from: body)
            throw CacheAccessError(
                refusals.contains(answer.status) ? .refused : .unavailable,
                "the gateway refuses: \(answer.status) \(problem?.detail ?? "without a reason")"
            )
        }
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let value = try? decoder.decode(Value.self, from: body) else {
            throw CacheAccessError(.unavailable, "what answers is not a gateway of this version")
        }
        return value
    }
}
