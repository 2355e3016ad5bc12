import Gateway
import Logging
import Testing

@Suite(.timeLimit(.minutes(1))) struct GatewayLogHandlerTests {
    private let registry = PrometheusRegistry()

    @Test("a line in JSON keeps numbers and nesting, and its own fields are not overwritten")
    func json() throws {
        let line = try logged(.json) { logger in
            logger.info(
                "source down",
                metadata: [
                    "level": "mine", "attempts": .stringConvertible(3), "ratio": .stringConvertible(0.5),
                    "ok": .stringConvertible(false), "list": ["a", .stringConvertible(UInt64.max)], "map": ["k": "v"],
                ]
            )
        }
        #expect(
            line == #"""
                {"time":"2025-11-24T16:00:00.000Z","level":"info","logger":"test","message":"source down",\#
                "attempts":3,"level_":"mine","list":["a","18446744073709551615"],"map":{"k":"v"},"ok":false,"ratio":0.5}

                """#
        )
    }

    @Test("a line in text has its facts behind the message")
    func text() throws {
        let line = try logged(.text) { $0.warning("slow request", metadata: ["b": "two words", "a": "1", "c": ""]) }
        #expect(
            line == "2025-11-24T16:00:00.000Z warning  slow request a=1 b=\"two words\" c=\"\" logger=test\n"
        )
    }

    @Test("the level has a colour when asked")
    func colour() throws {
        let line = try logged(.text, isColoured: true) { $0.error("no") }
        #expect(line.contains(" \u{1B}[31merror\u{1B}[0m    no "))
    }

    @Test(
        "text of strangers can neither start a line nor move a terminal's cursor",
        arguments: [LogFormat.json, .text],
        ["\n", "\r", "\u{1B}[2J", "\u{7F}", "\u{85}", "\u{9B}1m", "\u{2028}", "\u{202E}", "\0"]
    )
    func injection(format: LogFormat, text: String) throws {
        let line = try logged(format) { $0.info("a\(text)b", metadata: ["k": "c\(text)d", "l": ["e\(text)f"]]) }
        #expect(line.dropLast().unicodeScalars.allSatisfy { !text.unicodeScalars.prefix(1).contains($0) })
        #expect(line.hasSuffix("\n"))
    }

    @Test("loggers follow the common level unless they have their own")
    func level() throws {
        let lines = try written { writer in
            let output = output(to: writer, .text)
            let logger = logger(output)
            var quiet = logger
            quiet.logLevel = .error
            logger.debug("before")
            output.level = .debug
            logger.debug("after")
            quiet.debug("own level")
        }
        #expect(lines.contains("after"))
        #expect(!lines.contains("before"))
        #expect(!lines.contains("own level"))
    }

    @Test("lines are counted by level")
    func counts() throws {
        _ = try logged(.json) { logger in
            logger.info("a")
            logger.info("b")
            logger.error("c")
        }
        let page = registry.page()
        #expect(page.contains("media_gateway_log_messages_total{level=\"info\"} 2\n"))
        #expect(page.contains("media_gateway_log_messages_total{level=\"error\"} 1\n"))
        #expect(page.contains("media_gateway_log_messages_total{level=\"debug\"} 0\n"))
    }

    @Test("one place in the code writes a hundred lines a second, and then says how many it left out")
    func budget() throws {
        let clock = PrometheusRegistry.Counter()
        let lines = try written { writer in
            let logger = logger(output(to: writer, .json) { 1_764_000_000_000_000_000 + Int64(clock.value) })
            for number in 0..<501 {
                if number == 500 { clock.increment(by: 1_000_000_000) }
                logger.warning("bad request")
            }
            logger.info("another place")
        }.split(separator: "\n")
        #expect(lines.count == 102)
        #expect(lines.count { $0.contains("\"suppressed\"") } == 1)
        #expect(lines[100].contains("\"suppressed\":400"))
        #expect(registry.page().contains("media_gateway_log_suppressed_total 400\n"))
    }

    @Test("metadata of the logger, of its provider and of the call are joined, the closest first; an error is a fact")
    func metadata() throws {
        let line = try written { writer in
            let provider = Logger.MetadataProvider { ["a": "provider", "b": "provider"] }
            let handler = GatewayLogHandler(
                label: "test",
                output: output(to: writer, .text),
                metadataProvider: provider
            )
            var logger = Logger(label: "test") { _ in handler }
            logger[metadataKey: "a"] = "logger"
            logger[metadataKey: "c"] = "logger"
            logger.info("m", error: CancellationError(), metadata: ["c": "call"])
        }
        #expect(line.contains("a=provider b=provider c=call error=CancellationError()"))
    }

    @Test("a slow request is one warning with the time of each stage")
    func slowRequest() throws {
        var stages = RequestStages(accepted: 0)
        stages.mark(.resolved, at: 200_000_000)
        stages.mark(.sourceByte, at: 900_000_000)
        stages.mark(.firstByte, at: 901_000_000)
        stages.mark(.end, at: 60_000_000_000)
        let record = AccessRecord(
            time: 0,
            id: 1,
            client: "",
            method: "GET",
            target: "/a?sig=secret",
            version: "1.1",
            status: 200,
            route: "media",
            source: "films",
            total: .seconds(60),
            outcome: .complete
        )
        let line = try logged(.text) { logger in
            #expect(!SlowRequestLog(threshold: .seconds(1), logger: logger).note(stages, of: record))
            stages.addWait(from: 1_000_000_000, to: 1_100_000_000, isCache: false)
            #expect(SlowRequestLog(threshold: .seconds(1), logger: logger).note(stages, of: record))
        }
        #expect(
            line == """
                2025-11-24T16:00:00.000Z warning  slow request cache_wait_ms=0.0 first_byte_ms=901.0 \
                id=0000000000000001 method=GET outcome=complete resolve_ms=200.0 route=media source=films source_ms=700.0 source_wait_ms=100.0 \
                status=200 target=/a?sig=redacted total_ms=60000.0 logger=test

                """
        )
    }

    private func output(
        to writer: LineWriter,
        _ format: LogFormat,
        isColoured: Bool = false,
        now: @escaping @Sendable () -> Int64 = { 1_764_000_000_000_000_000 }
    ) -> LogOutput {
        LogOutput(writer: writer, format: format, isColoured: isColoured, registry: registry, now: now)
    }

    private func logger(_ output: LogOutput) -> Logger {
        Logger(label: "test") { GatewayLogHandler(label: $0, output: output) }
    }

    private func logged(_ format: LogFormat, isColoured: Bool = false, _ body: (Logger) -> Void) throws -> String {
        try written { body(logger(output(to: $0, format, isColoured: isColoured))) }
    }
}
