/// Whom bytes are read for, as far as an address tells: there may be several players behind one.
///
/// It tells the reads of one client from those of others. It permits nothing: what is read for one client may be given
/// to others who want the same.
package struct ReadClient: Sendable, Hashable {
    private let address: [UInt8]

    /// - Parameter address: what counts as one client.
    /// - Returns: `nil` if it is empty, which tells nothing.
    package init?(_ address: [UInt8]) {
        guard !address.isEmpty else { return nil }
        self.address = address
    }

    /// What is read for a client is read with this set to it; `nil` if it is for nobody, or nobody can tell for whom.
    @TaskLocal package static var current: ReadClient?
}
