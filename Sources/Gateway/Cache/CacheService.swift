import ChunkCache
import ServiceLifecycle
import SourcePlugins

/// Keeps the chunk cache in order while the gateway runs, and closes it at the end.
struct CacheService: Service {
    let cache: ChunkStore
    let routes: CacheRoutes

    func run() async throws {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                var seconds = 0
                while (try? await Task.sleep(for: .seconds(1))) != nil {
                    cache.maintain()
                    seconds += 1
                    if seconds % 10 == 0 { Heap.trim() }
                }
            }
            await untilShutdown()
            tasks.cancelAll()
        }
        await routes.stop()
        cache.close()
    }
}
