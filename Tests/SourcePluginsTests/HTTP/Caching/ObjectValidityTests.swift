import SourcePlugins
import Testing

@Suite("ObjectValidity")
struct ObjectValidityTests {
    private static let now = Timestamp(seconds: 1_787_659_200, nanoseconds: 900_000_000)
    private static let dayBefore = HeaderDate.format(seconds: now.seconds - 86_400)

    @Test(
        "an object is believed as long as its response is fresh",
        arguments: [
            (["Cache-Control": "max-age=60"], 60), (["Cache-Control": "max-age=60", "Age": "20"], 40),
            (["Cache-Control": "max-age=99999"], 3600), (["Cache-Control": "max-age=99999, immutable"], 3600),
            (["CDN-Cache-Control": "max-age=30", "Cache-Control": "max-age=60"], 30),
            (["Last-Modified": dayBefore], 3600),
            ([:], 1), (["ETag": "\"a\""], 1), (["Cache-Control": "public"], 1), (["Cache-Control": "max-age=0"], 0),
            (["Cache-Control": "max-age=60", "Age": "60"], 0), (["Expires": "0"], 0),
            (["Cache-Control": "no-cache, max-age=60"], 0), (["Cache-Control": "max-age=60, no-cache=\"a\""], 60),
        ] as [(HeaderFields, Int)]
    )
    func validity(fields: HeaderFields, seconds: Int) {
        let object = Self.object(fields)
        #expect(object.validity == .recheck(after: .seconds(seconds)))
        #expect(object.mayBeStored)
    }

    @Test(
        "an origin may forbid that bytes are kept",
        arguments: [
            ["Cache-Control": "no-store"], ["Cache-Control": "private, max-age=60"],
            ["CDN-Cache-Control": "no-store", "Cache-Control": "max-age=60"],
        ] as [HeaderFields]
    )
    func forbidden(fields: HeaderFields) {
        let object = Self.object(fields)
        #expect(object.validity == .recheck(after: .zero))
        #expect(!object.mayBeStored)
    }

    @Test(
        "an origin may forbid it to others",
        arguments: [
            ["Cache-Control": "no-store, must-understand"], ["Cache-Control": "private=\"a\""],
            ["CDN-Cache-Control": "max-age=60", "Cache-Control": "no-store"],
        ] as [HeaderFields]
    )
    func allowed(fields: HeaderFields) {
        #expect(Self.object(fields).mayBeStored)
    }

    private static func object(_ fields: HeaderFields) -> ObjectValidity {
        ObjectValidity(
            ResponseMessage(status: 200, fields: fields, requestTime: now, responseTime: now),
            maximum: .seconds(3600)
        )
    }
}
