import ChunkCache
import Testing

struct LMDBErrorTests {
    @Test(
        "codes say what they mean",
        arguments: [
            (-30_799, .refused), (-30_798, .notFound), (-30_797, .damaged), (-30_796, .damaged), (-30_795, .damaged),
            (-30_794, .damaged), (-30_793, .damaged), (-30_792, .mapFull), (-30_791, .refused), (-30_790, .readersFull),
            (-30_789, .refused), (-30_788, .refused), (-30_787, .damaged), (-30_786, .damaged), (-30_785, .damaged),
            (-30_784, .damaged), (-30_783, .refused), (-30_782, .refused), (-30_781, .refused), (-30_780, .refused),
            (5, .system(5)), (28, .system(28)), (.max, .system(.max)), (-1, .refused), (.min, .refused),
        ] as [(Int32, LMDBError.Kind)]
    )
    func kinds(code: Int32, kind: LMDBError.Kind) {
        #expect(LMDBError.Kind(code) == kind)
    }
}
