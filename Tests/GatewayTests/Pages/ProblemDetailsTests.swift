import Gateway
import SourcePlugins
import Testing

@Suite("Problem details")
struct ProblemDetailsTests {
    @Test("a problem has a stable code, the words for it and the request's id")
    func json() {
        let problem = ProblemDetails(.notFound, status: 404, detail: "no \"a/b\"\r\n", requestID: "r-1")
        #expect(
            String(decoding: problem.json(), as: UTF8.self)
                == #"{"code":"not_found","detail":"no \"a/b\"\r\n","request_id":"r-1","status":404,"#
                + #""title":"Nothing has this name","type":"urn:media-gateway:problem:not_found"}"#
        )
    }

    @Test("a source's error keeps its code", arguments: SourceError.Code.allCases)
    func sourceErrors(code: SourceError.Code) {
        #expect(ProblemCode(code).rawValue == code.rawValue)
    }

    @Test("codes are words, and no two share a title")
    func codes() {
        #expect(ProblemCode.allCases.allSatisfy { $0.rawValue.wholeMatch(of: /[a-z]+(_[a-z]+)*/) != nil })
        #expect(Set(ProblemCode.allCases.map(\.title)).count == ProblemCode.allCases.count)
    }
}
