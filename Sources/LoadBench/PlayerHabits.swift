/// How people watch, and what their players keep ready.
package struct PlayerHabits: Sendable, Equatable {
    /// What a second of a film takes.
    package var rate = BitRate(megabits: 5)
    /// How much of the film a player reads ahead.
    package var buffer = Duration.seconds(20)
    /// How much of the film is there before it begins to play, and before it goes on after a stall.
    package var readyAfter = Duration.seconds(1)
    /// What a player reads of the beginning before it looks for the index, in bytes.
    package var headLength: Int64 = 256 << 10
    /// How far before the end the index is, in bytes; 0 for films that need none.
    package var indexLength: Int64 = 64 << 10
    /// The mean time of watching between two jumps elsewhere in the film; zero for none, as below.
    package var seekEvery = Duration.seconds(30)
    package var pauseEvery = Duration.seconds(60)
    /// The mean length of a pause.
    package var pauseFor = Duration.seconds(5)
    /// Between two hang-ups. Half of those who hang up come back to the film, the others choose another one.
    package var leaveEvery = Duration.seconds(120)
    package var awayFor = Duration.seconds(5)

    package init() {}
}
