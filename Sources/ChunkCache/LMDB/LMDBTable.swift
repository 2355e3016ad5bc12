/// A named table of an environment. It is valid for the environment that opened it, and as long as that is open.
package struct LMDBTable: Sendable, Hashable {
    package let name: String
    let handle: UInt32
}
