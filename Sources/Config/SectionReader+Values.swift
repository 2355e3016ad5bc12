extension SectionReader {
    /// A string. With `isSecret` neither messages nor `config show` print it.
    package func string(_ key: String, default fallback: String, isSecret: Bool = false) -> String {
        read(key, default: fallback, isSecret: isSecret, literal: quotedForTOML) { value in
            value.text.map(Parsed.value) ?? .expected("a string")
        }
    }

    /// A string that must be there and must not be empty; `nil` if it is missing or wrong, which is reported.
    package func requiredString(_ key: String, isSecret: Bool = false) -> String? {
        required(key, "a string", isSecret: isSecret) { value in
            guard let text = value.text, !text.isEmpty else { return nil }
            return text
        }
    }

    package func bool(_ key: String, default fallback: Bool) -> Bool {
        read(key, default: fallback, literal: tomlLiteral) { value in
            switch value.content {
            case .boolean(let flag): .value(flag)
            case .untyped("true"): .value(true)
            case .untyped("false"): .value(false)
            default: .expected("true or false")
            }
        }
    }

    package func integer(_ key: String, default fallback: Int, in range: ClosedRange<Int>) -> Int {
        read(key, default: fallback, literal: tomlLiteral) { value in
            let number: Int? =
                switch value.content {
                case .integer(let number): Int(exactly: number)
                case .untyped(let text): Int(text)
                default: nil
                }
            guard let number, range.contains(number) else {
                return .expected("a whole number from \(range.lowerBound) to \(range.upperBound)")
            }
            return .value(number)
        }
    }

    package func size(
        _ key: String,
        default fallback: ByteSize,
        in range: ClosedRange<ByteSize> = ByteSize(bytes: 0)...ByteSize(bytes: .max)
    ) -> ByteSize {
        read(key, default: fallback, literal: describedLiteral) { value in
            guard let size = value.text.flatMap(ByteSize.init) else { return .expected("a size such as \"64MiB\"") }
            guard range.contains(size) else {
                return .expected("a size from \(range.lowerBound) to \(range.upperBound)")
            }
            return .value(size)
        }
    }

    package func duration(
        _ key: String,
        default fallback: Duration,
        in range: ClosedRange<Duration> = .zero ... .milliseconds(Int64.max)
    ) -> Duration {
        read(key, default: fallback, literal: tomlLiteral) { value in
            guard let time = value.text.flatMap(Duration.init(configText:)) else {
                return .expected("a time such as \"30m\"")
            }
            guard range.contains(time) else {
                return .expected("a time from \(range.lowerBound.configText) to \(range.upperBound.configText)")
            }
            return .value(time)
        }
    }

    package func rate(_ key: String, default fallback: ByteRate, in range: ClosedRange<ByteRate>) -> ByteRate {
        read(key, default: fallback, literal: describedLiteral) { value in
            guard let rate = value.text.flatMap(ByteRate.init) else { return .expected("a rate such as \"1MiB/s\"") }
            guard range.contains(rate) else {
                return .expected("a rate from \(range.lowerBound) to \(range.upperBound)")
            }
            return .value(rate)
        }
    }

    package func strings(_ key: String, default fallback: [String]) -> [String] {
        values(key, default: fallback, expected: "a string") { text, _ in text }
    }

    /// One of the names of the cases of `Value`.
    package func choice<Value: RawRepresentable<String> & CaseIterable>(
        _ key: String,
        default fallback: Value
    ) -> Value {
        read(key, default: fallback, literal: tomlLiteral) { value in
            guard let choice = value.text.flatMap(Value.init(rawValue:)) else {
                return .expected(listed(Value.allCases.map(\.rawValue)))
            }
            return .value(choice)
        }
    }

    /// A path, relative to the file that names it, made absolute. The default is relative to the main file.
    package func path(_ key: String, default fallback: String, use: ConfigPath.Use? = nil) -> String {
        let fallback = contents.bases.absolutePath(fallback, from: .builtIn)
        let path = read(key, default: fallback, literal: quotedForTOML) { value in
            self.absolutePath(value).map(Parsed.value) ?? .expected("a path")
        }
        note(path, use, at: key)
        return path
    }

    /// A path that must be there; `nil` if it is missing or wrong, which is reported.
    package func requiredPath(_ key: String, use: ConfigPath.Use? = nil) -> String? {
        let path = required(key, "a path", absolutePath)
        if let path { note(path, use, at: key) }
        return path
    }

    /// A string with a form of its own. `parse` is given the text and the place it was written at.
    package func value<Value: CustomStringConvertible>(
        _ key: String,
        default fallback: Value,
        expected: String,
        _ parse: (String, ConfigOrigin) -> Value?
    ) -> Value {
        read(key, default: fallback, literal: describedLiteral) { value in
            value.text.flatMap { parse($0, value.origin) }.map(Parsed.value) ?? .expected(expected)
        }
    }

    /// An array of strings with a form of their own; commas separate them in the environment and on the command line.
    package func values<Value: CustomStringConvertible>(
        _ key: String,
        default fallback: [Value],
        expected: String,
        _ parse: (String, ConfigOrigin) -> Value?
    ) -> [Value] {
        read(key, default: fallback, literal: tomlLiteral) { value in
            guard let elements = self.elements(of: value) else { return .expected("an array, each of it \(expected)") }
            guard elements.count <= mostElements else { return .expected("an array of at most \(mostElements)") }
            var parsed: [Value] = []
            for (index, element) in elements.enumerated() {
                if let value = element.text.flatMap({ parse($0, element.origin) }) {
                    parsed.append(value)
                } else {
                    self.fail(key, element: index, element, expected: expected)
                }
            }
            return parsed.count == elements.count ? .value(parsed) : .reported
        }
    }

    private func elements(of value: ConfigValue) -> [ConfigValue]? {
        switch value.content {
        case .array(let elements): elements
        case .untyped(""): []
        case .untyped(let text):
            text.split(separator: ",", omittingEmptySubsequences: false).map { part in
                ConfigValue(.untyped(String(trimmed(part))), origin: value.origin)
            }
        default: nil
        }
    }

    private func required(
        _ key: String,
        _ expected: String,
        isSecret: Bool = false,
        _ parse: (ConfigValue) -> String?
    ) -> String? {
        guard let entry = entry(key) else {
            fail(key, found: "missing", expected: expected)
            return nil
        }
        guard let value = parse(entry.value) else {
            fail(key, entry.value, expected: expected, isSecret: isSecret)
            return nil
        }
        record(key, isSecret ? nil : quotedForTOML(value), entry.value.origin)
        return value
    }

    private func absolutePath(_ value: ConfigValue) -> String? {
        guard let text = value.text, !text.isEmpty, !text.utf8.contains(0) else { return nil }
        return contents.bases.absolutePath(text, from: value.origin)
    }
}

private func tomlLiteral(_ flag: Bool) -> String { "\(flag)" }

private func tomlLiteral(_ number: Int) -> String { "\(number)" }

private func tomlLiteral(_ duration: Duration) -> String { quotedForTOML(duration.configText) }

private func tomlLiteral<Choice: RawRepresentable<String>>(_ choice: Choice) -> String {
    quotedForTOML(choice.rawValue)
}

private func tomlLiteral<Value: CustomStringConvertible>(_ values: [Value]) -> String {
    "[" + values.map(describedLiteral).joined(separator: ", ") + "]"
}

private func describedLiteral<Value: CustomStringConvertible>(_ value: Value) -> String {
    quotedForTOML(value.description)
}

/// The most elements an array may have.
private let mostElements = 1000

/// Without the spaces around it.
private func trimmed(_ text: Substring) -> Substring {
    var text = text.drop { $0 == " " }
    while text.last == " " { text.removeLast() }
    return text
}
