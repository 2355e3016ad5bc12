import Glibc

extension Double {
    /// The natural one.
    var logarithm: Double { log(self) }
    var exponential: Double { exp(self) }
}
