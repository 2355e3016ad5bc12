import Gateway
import Testing

@Suite("HTML")
struct HTMLTests {
    @Test("a value is text wherever it lands, and HTML stays what it is")
    func escaping() {
        let value = "\"'<b>&amp;\u{0}\u{9B}"
        let inner: HTML = "<i>\(value)</i>"
        #expect(inner.markup == "<i>&quot;&#39;&lt;b&gt;&amp;amp;\u{FFFD}\u{FFFD}</i>")
        let outer: HTML = "<p title=\"\(value)\">\(inner)\([inner, "<br>"])</p>"
        #expect(outer.markup.hasPrefix("<p title=\"&quot;&#39;&lt;b&gt;&amp;amp;\u{FFFD}\u{FFFD}\"><i>"))
        #expect(outer.markup.hasSuffix("</i><br></p>"))
    }
}
