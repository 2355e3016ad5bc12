package import SourcePlugins
import Synchronization

/// A source of made-up items, which a world that a test commands describes when it is asked.
package final class SyntheticItemSource: ItemSource {
    /// How the world answers for an item that is not known.
    package enum Answer: Sendable {
        case describes
        case fails(SourceError)
        /// Not before the gate is opened, which may be never.
        case waits(Gate)
    }

    package struct Item: Sendable {
        package var name: String
        /// The paths within the item with their sizes, by their numbers.
        package var files: [(path: String, size: Int64)]
        package var isKnown: Bool
        package var answer = Answer.describes
        package var isBusy = false
        package var pieces: PieceRuns?
        /// What `status` says, but for the name, the size and the ID.
        package var status: ItemStatus?
    }

    package struct Counts: Sendable, Hashable {
        /// Questions to the world.
        package var asked = 0
        package var resolves = 0
        package var removed: [ItemID] = []
    }

    private struct State: Sendable {
        var items: [ItemID: Item] = [:]
        var underWay: Set<ItemID> = []
    }

    package let addPolicy: AddPolicy
    package let counts = Observed(Counts())
    /// Whether it has read what is known. Whoever asks for more than that waits for it.
    package let ready = Observed(true)
    /// Where the bytes are from, at the items' own paths.
    package let objects = SyntheticSource()
    private let state = Observed(State())

    package init(_ addPolicy: AddPolicy = AddPolicy(who: .local, origins: [])) {
        self.addPolicy = addPolicy
    }

    /// Adds an item, to the world and to what is known.
    ///
    /// - Returns: its ID: 40 times `digit`.
    @discardableResult
    package func put(
        _ digit: Character,
        name: String = "An item",
        _ files: [(path: String, size: Int64)],
        isKnown: Bool = true,
        _ adjust: (inout Item) -> Void = { _ in }
    ) throws -> ItemID {
        guard let id = ItemID(String(repeating: digit, count: 40)) else {
            throw SourceError(.badReference, "\(digit) is no hexadecimal digit")
        }
        var item = Item(name: name, files: files, isKnown: isKnown)
        adjust(&item)
        for (path, size) in files { try objects.put("\(id)/\(path)", size: size) { $0.validity = .immutable } }
        state.update { [item] in $0.items[id] = item }
        return id
    }

    package func update(_ id: ItemID, _ change: @Sendable (inout Item) -> Void) {
        state.update { state in
            guard var item = state.items[id] else { return }
            change(&item)
            state.items[id] = item
        }
    }

    // MARK: - What items there are

    package func reference(_ text: String) throws -> ItemReference {
        let hash = text.lowercased().hasPrefix("magnet:") ? text.firstHash : text
        guard let id = ItemID(hash) else { throw SourceError(.badReference, "\(text) names no item") }
        return ItemReference(id: id, details: text)
    }

    /// A description is `d4:hash40:…e`.
    package func reference(file: [UInt8]) throws -> ItemReference {
        let text = String(decoding: file, as: UTF8.self)
        guard text.hasPrefix("d4:hash40:"), let id = ItemID(text.dropFirst(10).prefix(40)) else {
            throw SourceError(.badReference, "the file describes no item")
        }
        return ItemReference(id: id, details: text)
    }

    package var isReady: Bool { ready.value }

    package func isKnown(_ id: ItemID) -> Bool { isReady && known(id) != nil }

    package func describe(_ id: ItemID) async throws -> ItemDescription? {
        try await ready.until { $0 }
        return try known(id).map { try Self.description(of: $0, id) }
    }

    package func resolve(_ reference: ItemReference) async throws -> ItemDescription {
        let id = reference.id
        counts.update { $0.resolves += 1 }
        try await ready.until { $0 }
        if let item = known(id) { return try Self.description(of: item, id) }
        let isFirst = state.update { $0.underWay.insert(id).inserted }
        guard isFirst else {
            try await state.until { !$0.underWay.contains(id) }
            guard let item = known(id) else { throw SourceError(.timedOut, "nobody describes the item") }
            return try Self.description(of: item, id)
        }
        counts.update { $0.asked += 1 }
        defer { state.update { $0.underWay.remove(id) } }
        guard let item = state.value.items[id] else { throw SourceError(.timedOut, "nobody describes the item") }
        switch item.answer {
        case .describes: break
        case .fails(let error): throw error
        case .waits(let gate): try await gate.pass()
        }
        update(id) { $0.isKnown = true }
        return try Self.description(of: item, id)
    }

    package func remove(_ id: ItemID, force: Bool) async throws {
        guard let item = known(id) else { throw SourceError(.notFound, "there is no such item") }
        guard force || !item.isBusy else { throw SourceError(.busy, "somebody reads it") }
        update(id) { $0.isKnown = false }
        counts.update { $0.removed.append(id) }
    }

    package func status(_ id: ItemID) async -> ItemStatus? { known(id).map { Self.status(of: $0, id) } }

    package func statuses() async -> [ItemStatus] {
        state.value.items.filter(\.value.isKnown).map { Self.status(of: $0.value, $0.key) }
            .sorted { $0.name < $1.name }
    }

    package func pieces(_ id: ItemID) async -> PieceRuns? { known(id)?.pieces }

    private func known(_ id: ItemID) -> Item? {
        state.value.items[id].flatMap { $0.isKnown ? $0 : nil }
    }

    private static func description(of item: Item, _ id: ItemID) throws -> ItemDescription {
        let files = try item.files.enumerated().map { index, file in
            guard let revision = Revision("g0-\(file.size)") else {
                throw SourceError(.unavailable, "a size is no revision")
            }
            return ItemDescription.File(
                index: index,
                path: try MediaPath("\(id)/\(file.path)"),
                size: file.size,
                revision: revision
            )
        }
        return ItemDescription(id: id, name: item.name, files: files)
    }

    private static func status(of item: Item, _ id: ItemID) -> ItemStatus {
        let size = item.files.reduce(0) { $0 + $1.size }
        guard var status = item.status else { return ItemStatus(id: id, name: item.name, state: .stored, size: size) }
        (status.id, status.name, status.size) = (id, item.name, size)
        return status
    }

    // MARK: - Objects

    /// Opening a file is what loads its item here.
    package func open(_ path: MediaPath) async throws -> any MediaObject {
        try await ready.until { $0 }
        let path =
            try path.numbered.flatMap { index in
                let item = path.components.first.flatMap { ItemID($0.description) }.flatMap(known)
                return item.flatMap { $0.files.indices.contains(index) ? $0.files[index].path : nil }
            }.map { try MediaPath("\(path.components[0])/\($0)") } ?? path
        guard isKnown(path) else { throw SourceError(.notFound, "the item is not known") }
        try objects.update(path.description) { $0.isLoaded = true }
        return try await objects.open(path)
    }

    package func lease(_ path: MediaPath) -> Lease? { objects.lease(path) }

    package func list(_ path: MediaPath) async throws -> [MediaEntry] {
        try await ready.until { $0 }
        guard isKnown(path) else { throw SourceError(.notFound, "the item is not known") }
        return try await objects.list(path)
    }
}

extension MediaPath {
    fileprivate var numbered: Int? {
        guard components.count == 2, let name = components.last?.description, name.hasPrefix("~") else { return nil }
        return Int(name.dropFirst())
    }
}

extension String {
    /// What follows `btih:` up to the next parameter.
    fileprivate var firstHash: String {
        let parts = lowercased().split(separator: "btih:", maxSplits: 1)
        return parts.count > 1 ? String(parts[1].prefix { $0 != "&" }) : ""
    }
}
