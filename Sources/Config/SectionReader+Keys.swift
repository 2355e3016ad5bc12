extension SectionReader {
    /// The keys that are there, in the order they were written: for a table whose keys are names that somebody chose.
    /// None of them counts as asked for by this.
    package var keys: [String] { contents.table.entries.map(\.key) }

    /// Whether there is a table at `key`, which does not count as asked for by this.
    package func isTable(_ key: String) -> Bool { contents.table[key]?.value.table != nil }

    /// Reports that the value of `key`, or the key itself, cannot be used, without showing its line.
    ///
    /// - Parameter expected: what would have been right; "expected" is put in front.
    package func failSecret(_ key: String, expected: String) {
        guard let entry = contents.table[key] else { return }
        fail(key, entry.value, expected: expected, isSecret: true)
    }
}
