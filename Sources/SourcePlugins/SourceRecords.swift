/// A small durable store that the gateway lends a source, in a directory of the source's.
///
/// All calls block. A change is on the disk when its call returns. A value that was damaged counts as absent.
package protocol SourceRecords: AnyObject, Sendable {
    /// Why what was stored before was found damaged and set aside; `nil` if it was not.
    var setAside: String? { get }
    func value(_ key: String) throws -> [UInt8]?
    func put(_ key: String, _ value: [UInt8]) throws
    /// Does nothing if there is no such value.
    func remove(_ key: String) throws
    func keys(prefix: String) throws -> [String]
}
