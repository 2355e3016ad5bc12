import ArgumentParser
import Config
import LoadBench

extension LoadTarget: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension LoadStages: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension RequestLimit: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
    public var defaultValueDescription: String { description }
}

extension ByteSize: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
    public var defaultValueDescription: String { description }
}

extension BitRate: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
    public var defaultValueDescription: String { description }
}

/// A time as configuration writes it.
struct TimeArgument: ExpressibleByArgument {
    let duration: Duration

    init(seconds: Int) {
        duration = .seconds(seconds)
    }

    init?(argument: String) {
        guard let duration = Duration(configText: argument) else { return nil }
        self.duration = duration
    }

    var defaultValueDescription: String { duration.configText }
}
