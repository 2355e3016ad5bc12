/// One HTML document of the data listener: no script, nothing from elsewhere.
package struct Page: Sendable, Hashable {
    package static let contentType = "text/html; charset=utf-8"

    /// What must go out as `Content-Security-Policy` with it. Styles are inline and written by the gateway alone.
    package static let contentSecurityPolicy = [
        "default-src 'none'", "style-src 'unsafe-inline'", "media-src 'self'", "img-src 'self' data:",
        "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    ].joined(separator: "; ")

    package let markup: String

    init(title: String, body: HTML) {
        let document: HTML = """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <meta name="referrer" content="no-referrer">
            <title>\(title)</title>
            <link rel="icon" href="\(Self.icon)">
            <style>\(Self.style)</style>
            </head>
            <body>
            \(body)
            </body>
            </html>

            """
        markup = document.markup
    }

    private static let icon =
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
        + "%3Crect width='16' height='16' rx='4' fill='%232f6feb'/%3E"
        + "%3Cpath d='M6 4.5v7l6-3.5z' fill='%23fff'/%3E%3C/svg%3E"
}
