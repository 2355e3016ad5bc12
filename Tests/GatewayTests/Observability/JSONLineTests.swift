import Foundation
import Gateway
import Testing

@Suite struct JSONLineTests {
    @Test("any text comes back from a JSON parser as it was, from one line of printable characters")
    func fuzz() throws {
        var random = SystemRandomNumberGenerator()
        let ranges: [ClosedRange<UInt32>] = [0...0x20, 0x20...0x7F, 0x80...0xFF, 0x2000...0x20FF, 0x1_F000...0x1_FFFF]
        for _ in 0..<2000 {
            var text = ""
            for _ in 0..<Int.random(in: 0...20, using: &random) {
                let range = ranges.randomElement(using: &random) ?? 0...0x7F
                Unicode.Scalar(UInt32.random(in: range, using: &random)).map { text.unicodeScalars.append($0) }
            }
            let number = Int64.random(in: .min ... .max, using: &random)
            var line: [UInt8] = []
            JSONLine.append(to: &line) { json in
                json.field(.text(text), text)
                json.object("o") { $0.field("n", number) }
                json.array("a", [text, text]) { $0.field("", $1) }
                json.field("b", true)
            }
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
            #expect(object[text] as? String == text || ["o", "a", "b"].contains(text))
            // Foundation turns some large numbers into decimals, which it does not cast to Int64.
            #expect(((object["o"] as? [String: Any])?["n"] as? NSNumber)?.description == "\(number)")
            #expect(object["a"] as? [String] == [text, text])
            #expect(object["b"] as? Bool == true)
            #expect(line.allSatisfy { $0 >= 0x20 && $0 != 0x7F })
        }
    }

    @Test("what is not finite becomes a string")
    func oddNumbers() {
        var line: [UInt8] = []
        JSONLine.append(to: &line) { json in
            json.field("a", Double.nan)
            json.field("b", -Double.infinity)
            json.field("c", 0.5)
            json.field("d", milliseconds: .microseconds(-1500))
        }
        #expect(String(decoding: line, as: UTF8.self) == #"{"a":"nan","b":"-inf","c":0.5,"d":-1.500}"#)
    }
}
