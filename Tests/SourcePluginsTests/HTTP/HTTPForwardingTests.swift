import NIOCore
import SourceContract
import SourcePlugins
import Testing

@Suite("HTTP: forwarded requests", .timeLimit(.minutes(5)))
struct HTTPForwardingTests {
    @Test(
        "a target goes to the origin as it came, below the base URL",
        arguments: [
            "", "a/b.html?x=1&y=a%20b", "?q=1", "a%2Fb", "a;b=1/c", "%7Euser/%e4", "a+b", "a//b", "x?u=http://h/../p",
            "a..b/...", "a?b[]=1&c='(*)'", "//evil.example/x", "a@b:c", "100%", "x?y?z",
        ]
    )
    func target(_ target: String) async throws {
        try await withHTTP(
            OriginScript { _ in .text("x") },
            HTTPSetup(settings: { $0.baseURL = try baseURL(of: $1, "/base/") })
        ) { http async throws in
            _ = try await http.forward("GET", target)
            #expect(http.origin.requests.map(\.target) == ["/base/\(target)"])
        }
    }

    @Test(
        "a target that leaves the base URL goes nowhere, however it is written",
        arguments: [
            "..", "../x", "a/../../x", "./x", "a/.", "%2e%2e/x", "%2E./x", ".%2e", "a/%2e%2e%2fx", "%252e%252e/x",
            "..%2Fx", "..%5cx", "..\\x", "..;/x", "..;a=b/x", "%2e%2e;/x", "a%252525252525252525b", "a b", "a#b",
            "a\r\nX: y", "ü",
        ]
    )
    func climbing(_ target: String) async throws {
        try await withHTTP(OriginScript { _ in .text("x") }) { http async throws in
            let error = try await sourceError { _ = try await http.forward("GET", target) }
            #expect(error?.code == .badPath)
            #expect(http.origin.requests.isEmpty)
        }
    }

    @Test("what is for one connection stays behind, everything else goes on")
    func fields() async throws {
        try await withHTTP(OriginScript { _ in .text("x") }) { http async throws in
            _ = try await http.forward(
                "GET",
                "object",
                [
                    "Host": "gateway.example", "Connection": "close, X-Hop", "X-Hop": "1", "Keep-Alive": "5",
                    "Proxy-Authorization": "Basic x", "Proxy-Custom": "x", "TE": "trailers", "Trailer": "X",
                    "Transfer-Encoding": "chunked", "Upgrade": "h2c", "Content-Length": "7", "Expect": "100-continue",
                    "Authorization": "Bearer y", "Cookie": "a=b", "Accept-Encoding": "gzip, br", "Accept": "a/b",
                    "Accept": "c/d", "traceparent": "00-1-2-01", "Range": "bytes=1-2", "X-Custom": "z",
                ]
            )
            let request = try #require(http.origin.requests.first)
            let names = [
                "accept", "accept", "accept-encoding", "authorization", "cookie", "forwarded", "host", "range",
                "traceparent", "via", "x-custom", "x-forwarded-for", "x-forwarded-proto",
            ]
            #expect(request.fields.map(\.name).sorted() == names)
            #expect(request.field("host") == "127.0.0.1:\(http.origin.port)")
            #expect(request.field("authorization") == "Bearer y")
            #expect(request.field("cookie") == "a=b")
            #expect(request.field("accept-encoding") == "gzip, br")
            #expect(request.field("traceparent") == "00-1-2-01")
        }
    }

    @Test("the origin is told the way of a request, behind what a trusted proxy knew of it")
    func way() async throws {
        let fields: HeaderFields = [
            "Via": "1.0 a, 1.1 b", "Via": "2 c (comment)", "X-Forwarded-For": "10.0.0.1, 2001:db8::1",
            "Forwarded": "for=10.0.0.1;host=evil.example", "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "told.example", "X-Real-IP": "2001:db8::1",
        ]
        let clients = [
            ForwardedClient(address: "192.0.2.7", host: "Gateway.example:8080"),
            ForwardedClient(address: "192.0.2.7", isTrusted: false, host: "gateway.example:8080", fields: fields),
            ForwardedClient(
                address: "2001:db8::1",
                peer: "192.0.2.9",
                isTrusted: true,
                host: "gateway.example",
                fields: fields
            ), ForwardedClient(address: "unix:", host: "a\"b"),
        ]
        let expected: [[String?]] = [
            ["192.0.2.7", "http", "gateway.example:8080", nil, "for=192.0.2.7@;proto=http"],
            ["192.0.2.7", "http", "gateway.example:8080", nil, "for=192.0.2.7@;proto=http"],
            [
                "10.0.0.1, 2001:db8::1, 192.0.2.9", "https", "told.example", "2001:db8::1",
                "for=\"[2001:db8::1]\"@;proto=https, for=192.0.2.9",
            ], ["unknown", "http", nil, nil, "for=unknown@;proto=http"],
        ]
        for forwardsHost in [false, true] {
            try await withHTTP(
                OriginScript { _ in .text("x") },
                HTTPSetup(settings: { settings, _ in settings.forwardsHost = forwardsHost })
            ) { http async throws in
                for client in clients { _ = try await http.forward("GET", "object", fields, for: client) }
                for (request, expected) in zip(http.origin.requests, expected) {
                    #expect(request.field("via") == "1.0 a, 1.1 b, 2 c (comment), 1.1 gateway-under-test")
                    #expect(request.field("x-forwarded-for") == expected[0])
                    #expect(request.field("x-forwarded-proto") == expected[1])
                    let host = forwardsHost ? expected[2] : nil
                    #expect(request.field("x-forwarded-host") == host)
                    #expect(request.field("x-real-ip") == expected[3])
                    let label = host.map { ";host=\"\($0)\"" } ?? ""
                    #expect(request.field("forwarded") == expected[4]?.replacing("@", with: label))
                }
            }
        }
    }

    @Test(
        "what a response could hang on without its key does not reach the origin, whoever sends it",
        arguments: [false, true]
    )
    func unkeyed(_ isTrusted: Bool) async throws {
        let names = [
            "X-Forwarded-Host", "X-Forwarded-Server", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Scheme",
            "X-Forwarded", "X_Forwarded_Host", "X_Forwarded_For", "x-forwarded_proto", "X_Real_IP", "X-Host",
            "X-Original-Host", "X-HTTP-Host-Override", "X-Original-URL", "X-Rewrite-URL", "X-Rewrite_URL",
        ]
        let methodNames = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X_Method_Override"]
        let fields = HeaderFields((names + methodNames + ["X-Custom"]).map { (name: $0, value: "evil.example") })
        // A body after HEAD would be taken for the next answer.
        try await withHTTP(OriginScript { .text($0.method == "HEAD" ? "" : "x") }) { http async throws in
            let client = ForwardedClient(address: "192.0.2.7", isTrusted: isTrusted, host: "h", fields: fields)
            for method in ["GET", "HEAD", "POST"] { _ = try await http.forward(method, "object", fields, for: client) }
            for request in http.origin.requests {
                let evil = Set(request.fields.filter { $0.value.contains("evil") }.map(\.name))
                let overrides = request.method == "POST" ? methodNames.map { $0.lowercased() } : []
                #expect(evil == Set(overrides + ["x-custom"]))
            }
            #expect(http.origin.requests.count == 3)
        }
    }

    @Test("what the origin is told of the place that was asked is what responses are kept apart by")
    func site() {
        let fields: HeaderFields = ["X-Forwarded-Proto": "evil, HTTPS", "X-Forwarded-Host": "evil, Told.example"]
        func site(_ isTrusted: Bool, _ forwardsHost: Bool) -> String {
            ForwardedClient(address: "192.0.2.7", isTrusted: isTrusted, host: "Asked:1", fields: fields)
                .site(forwardsHost: forwardsHost)
        }
        #expect(site(false, false) == "http")
        #expect(site(true, false) == "https")
        #expect(site(false, true) == "http://asked:1")
        #expect(site(true, true) == "https://told.example")
        #expect(ForwardedClient(address: "unix:").site(forwardsHost: true) == "http://")
    }

    @Test("a tag that is not known to the byte is not handed on with a body")
    func repairedTag() async throws {
        try await withHTTP(
            OriginScript { request in
                var reply = FaultyOrigin.Reply.text("x", "200 OK", [("ETag", "\"\u{E9}\"")])
                reply.isLatin1 = true
                if request.target == "/known" { reply.isLatin1 = false }
                return reply
            }
        ) { http async throws in
            #expect(try await !http.forward("GET", "object").head.fields.contains("etag"))
            #expect(try await http.forward("GET", "known").head.eTag?.opaque == "\u{E9}")
            // It is there, and is none.
            let head = try await http.forward("HEAD", "object").head
            #expect(head.fields.contains("etag") && head.eTag == nil)
        }
    }

    @Test(
        "a request that has been here before is refused as a loop",
        arguments: ["1.1 gateway-under-test", "1.0 a, HTTP/1.1 Gateway-Under-Test (x), 1.1 b"]
    )
    func loop(_ via: String) async throws {
        try await withHTTP(OriginScript { _ in .text("x") }) { http async throws in
            let error = try await sourceError { _ = try await http.forward("GET", "object", ["Via": via]) }
            #expect(error?.code == .refused)
            #expect(error?.cause is RequestLoop)
            #expect(http.origin.requests.isEmpty)
            _ = try await http.forward("GET", "object", ["Via": "1.1 gateway-under-tests, 1.1 x-gateway-under-test"])
        }
    }

    @Test("the headers of the configuration win over the client's, at the origin of the base URL")
    func configured() async throws {
        try await FaultyOrigin.with(OriginScript { _ in .text("x") }) { fallback async throws in
            try await withHTTP(
                OriginScript { $0.earlier == 0 ? .text("x") : .status("500 Internal Server Error") },
                HTTPSetup(settings: { settings, _ in
                    settings.headers = [
                        OriginHeader("authorization", .text("Bearer own")), OriginHeader("X-Edge", .text("lima")),
                    ]
                    settings.fallbacks = [try baseURL(of: fallback)]
                })
            ) { http async throws in
                for _ in 0..<2 { _ = try await http.forward("GET", "object", ["Authorization": "Basic theirs"]) }
                for request in http.origin.requests {
                    #expect(request.fields.filter { $0.name == "authorization" }.map(\.value) == ["Bearer own"])
                    #expect(request.field("x-edge") == "lima")
                }
                #expect(fallback.requests.map { $0.field("authorization") } == ["Basic theirs"])
                #expect(fallback.requests.map { $0.field("x-edge") } == [nil])
            }
        }
    }

    @Test("a field that would end its line is refused", arguments: [("X", "a\r\nY: b"), ("X Y", "a"), ("", "a")])
    func smuggling(_ name: String, _ value: String) async throws {
        try await withHTTP(OriginScript { _ in .text("x") }) { http async throws in
            let fields = HeaderFields([(name: name, value: value)])
            let error = try await sourceError { _ = try await http.forward("GET", "object", fields) }
            #expect(error?.code == .refused)
            #expect(http.origin.requests.isEmpty)
        }
    }

    @Test("a method that is none, or not for a gateway, is refused", arguments: ["", "GE T", "CONNECT", "GET\r\n"])
    func methods(_ method: String) async throws {
        try await withHTTP(OriginScript { _ in .text("x") }) { http async throws in
            let error = try await sourceError { _ = try await http.forward(method) }
            #expect(error?.code == .refused)
        }
    }

    @Test(
        "whatever status the origin answers with is the answer",
        arguments: [
            "200 OK", "201 Created", "203 N", "206 Partial Content", "226 IM Used", "300 Many", "301 Moved",
            "302 Found",
            "303 See", "307 There", "308 There", "400 Bad", "401 Who", "403 No", "404 Not Found", "408 Late",
            "410 Gone", "416 No", "418 Teapot", "429 Slow", "451 Law", "500 Oops", "501 No", "503 Busy", "599 Odd",
        ]
    )
    func statuses(_ status: String) async throws {
        try await withHTTP(
            OriginScript { _ in
                .text("what it says", status, [("Location", "/elsewhere"), ("Connection", "X-Hop"), ("X-Hop", "1")])
            }
        ) { http async throws in
            for method in ["GET", "POST", "MKCOL"] {
                let response = try await http.forward(method)
                #expect(response.head.status == Int(status.prefix(3)))
                #expect(response.head.fields.first("location") == "/elsewhere")
                #expect(!response.head.fields.contains("x-hop"))
                #expect(response.length == 12)
                #expect(try await text(response) == "what it says")
            }
            #expect(http.origin.requests.map(\.method) == ["GET", "POST", "MKCOL"])
        }
    }

    @Test("answers without a body have none, whatever length they name", arguments: ["HEAD", "204", "304"])
    func bodiless(_ kind: String) async throws {
        try await withHTTP(
            OriginScript { _ in
                let status = kind == "HEAD" ? "200 OK" : "\(kind) No Body"
                let length = kind == "204" ? "" : "Content-Length: 1000\r\n"
                return FaultyOrigin.Reply(head: "HTTP/1.1 \(status)\r\nETag: \"a\"\r\n\(length)\r\n")
            }
        ) { http async throws in
            for _ in 0..<2 {
                let response = try await http.forward(kind == "HEAD" ? "HEAD" : "GET")
                #expect(response.length == (kind == "204" ? nil : 1000))
                #expect(try await response.next() == nil)
            }
            #expect(http.origin.activity.value.connections == 1)
        }
    }

    @Test("interim answers are passed over")
    func interim() async throws {
        try await withHTTP(
            OriginScript { _ in
                var reply = FaultyOrigin.Reply.text("x")
                reply.head = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n" + reply.head
                return reply
            }
        ) { http async throws in
            let response = try await http.forward()
            #expect(response.head.status == 200)
            #expect(try await text(response) == "x")
        }
    }

    @Test(
        "a body that ends too early is no end",
        arguments: [
            (FaultyOrigin.Reply.Ending.close, SourceError.Code.unavailable), (.reset, .unavailable),
            (.stall, .timedOut),
        ]
    )
    func cut(_ ending: FaultyOrigin.Reply.Ending, _ code: SourceError.Code) async throws {
        try await withHTTP(
            OriginScript { OriginObject().reply($0).cut(after: 1000, ending) },
            HTTPSetup(settings: { settings, _ in
                if case .stall = ending { settings.idleTimeout = .milliseconds(500) }
            })
        ) { http async throws in
            let response = try await http.forward()
            let error = try await sourceError { while try await response.next() != nil {} }
            #expect(error?.code == code)
        }
    }

    @Test("a body in chunks, and one that lasts until the connection ends, come whole", arguments: [true, false])
    func unknownLength(_ isChunked: Bool) async throws {
        try await withHTTP(
            OriginScript { _ in
                let object = OriginObject()
                if isChunked { return object.whole.chunked() }
                var reply = object.whole.ending(.close)
                reply.head = object.head("200 OK", [])
                return reply
            }
        ) { http async throws in
            let response = try await http.forward()
            #expect(response.length == nil)
            var offset: Int64 = 0
            while let part = try await response.next() {
                #expect(OriginObject().content.firstDifference(in: part, at: offset) == nil)
                offset += Int64(part.readableBytes)
            }
            #expect(offset == OriginObject.size)
        }
    }

    @Test("an answer that is dropped or not wanted leaves no connection in use", arguments: [true, false])
    func dropped(_ isDropped: Bool) async throws {
        let large = OriginObject(size: 1 << 40)
        try await withHTTP(OriginScript { large.reply($0) }) { http async throws in
            do {
                let response = try await http.forward()
                _ = try await response.next()
                if !isDropped { response.cancel() }
                if !isDropped { try await http.origin.activity.until { $0.connections == 0 } }
            }
            try await http.origin.activity.until { $0.connections == 0 }
        }
    }

    @Test("what is left of a short answer costs no connection", arguments: [true, false])
    func reused(_ isCancelled: Bool) async throws {
        try await withHTTP(OriginScript { _ in .text("what it says") }) { http async throws in
            for _ in 0..<5 {
                let response = try await http.forward()
                if isCancelled { response.cancel() }
                try await http.origin.activity.until { $0.open == 0 }
            }
            #expect(http.origin.activity.value.connections == 1)
        }
    }

    @Test("a change of protocols that nobody asked for is no answer", arguments: [true, false])
    func switching(_ hasBody: Bool) async throws {
        let switching = FaultyOrigin.Reply(head: "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        try await withHTTP(
            OriginScript { _ in switching },
            HTTPSetup(settings: { settings, _ in settings.retries = 0 })
        ) {
            http async throws in
            let body = hasBody ? PartsBody(["one"]) : nil
            let error = try await sourceError { _ = try await http.forward("POST", body: body) }
            #expect(error?.code == .unavailable)
        }
    }

    @Test("whoever leaves ends the request")
    func leaving() async throws {
        try await withHTTP(.silent) { http async throws in
            let waiting = Task { try await http.forward() }
            try await http.origin.activity.until { $0.requests.count == 1 }
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            try await http.origin.activity.until { $0.connections == 0 }
        }
    }
}
