import Gateway
import Testing

@Suite struct UsableCoresTests {
    @Test(
        "the mask of the status file decides",
        arguments: [
            ("Name:\tx\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n", 2),
            ("Cpus_allowed:\tffffffff,00000001\n", 33),
            ("Cpus_allowed:\t00\n", nil),
            ("Cpus_allowed_list:\t0-1\n", nil),
            ("", nil),
        ] as [(String, Int?)]
    )
    func mask(status: String, expected: Int?) {
        #expect(UsableCores.allowed(in: status) == expected)
    }

    @Test("there is at least one core")
    func atLeastOne() {
        #expect(UsableCores.count >= 1)
    }
}
