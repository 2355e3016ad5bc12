/// What a record can be found by: 1 to 511 bytes, which the database orders byte by byte.
package protocol LMDBKey {
    /// Lends the key's bytes to `body`, which does not keep them.
    func withKeyBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result
}

extension [UInt8]: LMDBKey {
    package func withKeyBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        try withUnsafeBytes(body)
    }
}
