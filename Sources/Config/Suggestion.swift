/// The candidate that `word` was most likely meant to be; `nil` if none is near.
func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
    let word = Array(word.lowercased().utf8)
    guard word.count <= 64 else { return nil }
    var best: (candidate: String, distance: Int)?
    for candidate in candidates {
        let distance = editDistance(word, Array(candidate.lowercased().utf8))
        // Longer words may hold more slips; a word of which half is different is another word.
        if distance <= max(1, min(3, candidate.utf8.count / 3)), distance < best?.distance ?? .max {
            best = (candidate, distance)
        }
    }
    return best?.candidate
}

/// How many letters must be added, taken away, replaced or swapped with their neighbour to turn one word into the
/// other.
func editDistance(_ first: [UInt8], _ second: [UInt8]) -> Int {
    var beforePrevious: [Int] = []
    var previous = Array(0...second.count)
    for (row, letter) in first.enumerated() {
        var current = [row + 1]
        for (column, other) in second.enumerated() {
            var cost = min(previous[column] + (letter == other ? 0 : 1), previous[column + 1] + 1, current[column] + 1)
            if row > 0, column > 0, letter == second[column - 1], first[row - 1] == other {
                cost = min(cost, beforePrevious[column - 1] + 1)
            }
            current.append(cost)
        }
        (beforePrevious, previous) = (previous, current)
    }
    return previous[second.count]
}

/// `"a", "b" or "c"`.
func listed(_ words: some Collection<String>) -> String {
    let quoted = words.map(quotedForMessage)
    guard let last = quoted.last, quoted.count > 1 else { return quoted.first ?? "" }
    return quoted.dropLast().joined(separator: ", ") + " or " + last
}
