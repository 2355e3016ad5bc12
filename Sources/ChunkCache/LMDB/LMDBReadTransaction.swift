/// A view of the database as it was when the read began.
package struct LMDBReadTransaction: LMDBTransaction, ~Copyable {
    package let pointer: LMDBPointer

    init(_ pointer: LMDBPointer) {
        self.pointer = pointer
    }
}
