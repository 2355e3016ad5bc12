import Gateway
import Testing

@Suite("Accept")
struct AcceptHeaderTests {
    @Test(
        "browsers get a page",
        arguments: [
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", "text/html", "TEXT/HTML",
            "application/json;q=0.5, text/html", "text/*", "application/json;q=0, */*",
        ]
    )
    func html(value: String) {
        #expect(AcceptHeader.prefersHTML(value))
    }

    @Test(
        "programs get JSON",
        arguments: [
            nil, "", "*/*", "application/json", "application/json, text/html;q=0.9", "text/html, application/json",
            "text/html;q=0", "video/*", "text/html;q=nan", "text/html;q=-1", "text/html;q=2", ";;,,/", "text/html;q=",
        ] as [String?]
    )
    func json(value: String?) {
        #expect(!AcceptHeader.prefersHTML(value))
    }
}
