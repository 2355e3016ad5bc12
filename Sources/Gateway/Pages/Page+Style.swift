extension Page {
    static let style: HTML = """

        :root {
          color-scheme: light dark;
          --ground: #f6f7f9; --panel: #fff; --line: #e2e5ea; --text: #1a1f27; --quiet: #5d6775; --accent: #1f5fd6;
          --on: #16803c; --down: #c0271d; --tile-a: #2b4a86; --tile-b: #101c36;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #0f1216; --panel: #171c22; --line: #2a313a; --text: #e8ebef; --quiet: #98a3b1;
            --accent: #7fb0ff; --on: #4cc777; --down: #ff7b6e; --tile-a: #2a4372; --tile-b: #121a2b;
          }
        }
        * { box-sizing: border-box; }
        body {
          margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 64rem; background: var(--ground); color: var(--text);
          font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
        }
        a { color: var(--accent); text-decoration: none; }
        a:hover { text-decoration: underline; }
        a:focus-visible, button:focus-visible, input:focus-visible {
          outline: 2px solid var(--accent); outline-offset: 2px;
        }
        h1 { margin: 0; font-size: 1.5rem; line-height: 1.25; }
        h2 { margin: 2.25rem 0 .75rem; font-size: 1.05rem; }
        p { margin: .25rem 0; }
        code { font: .9em/1.4 ui-monospace, monospace; }
        .panel + .quiet, .bar + .quiet { margin-top: .75rem; }
        .quiet { color: var(--quiet); font-size: .9rem; }
        .bar { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: baseline; justify-content: space-between; }
        .crumbs { margin-bottom: .5rem; }
        .crumbs span { color: var(--quiet); padding: 0 .3rem; }
        .panel { background: var(--panel); border: 1px solid var(--line); border-radius: .75rem; overflow: hidden; }
        .films { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .9rem; }
        .film { display: block; color: var(--text); }
        .film .tile {
          display: grid; place-items: center; aspect-ratio: 16 / 9; border-radius: .75rem;
          background: linear-gradient(150deg, var(--tile-a), var(--tile-b));
        }
        .film .tile::after {
          content: ""; border: solid transparent; border-width: .85rem 0 .85rem 1.4rem; border-left-color: #fff;
          opacity: .85; margin-left: .3rem;
        }
        .film.audio .tile::after {
          content: "♪"; border: 0; margin: 0; color: #fff; font-size: 2.2rem; line-height: 1;
        }
        .film:hover .tile::after { opacity: 1; }
        .film .title {
          display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden;
          margin-top: .4rem; font-weight: 600; line-height: 1.3;
        }
        ul.rows { list-style: none; margin: 1rem 0; padding: 0; }
        ul.rows > li {
          display: grid; grid-template-columns: 1.5rem minmax(0, 1fr) 5.5rem 6rem 8.5rem; gap: .1rem 1rem;
          align-items: baseline; padding: .6rem .9rem;
        }
        ul.rows > li + li { border-top: 1px solid var(--line); }
        ul.rows .name { font-weight: 500; }
        ul.rows .size { text-align: right; }
        ul.rows .glyph { color: var(--quiet); text-align: center; }
        .actions { display: flex; gap: .9rem; font-size: .9rem; }
        ul.rows .actions { justify-content: flex-end; }
        .sources > li {
          display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .25rem 1rem; padding: .8rem 1rem;
        }
        .sources { list-style: none; margin: 0; padding: 0; }
        .sources > li + li { border-top: 1px solid var(--line); }
        .sources .more { grid-column: 1 / -1; }
        .state { font-size: .85rem; font-weight: 600; color: var(--quiet); white-space: nowrap; }
        .state::before {
          content: ""; display: inline-block; width: .55rem; height: .55rem; margin-right: .4rem;
          border-radius: 50%; background: currentColor;
        }
        .state.on { color: var(--on); }
        .state.down { color: var(--down); }
        form { display: flex; gap: .5rem; margin-top: .5rem; }
        input {
          flex: 1; min-width: 0; padding: .5rem .7rem; font: inherit; color: inherit; background: var(--ground);
          border: 1px solid var(--line); border-radius: .5rem;
        }
        button, .button {
          padding: .5rem 1rem; font: inherit; font-weight: 600; border: 0; border-radius: .5rem;
          background: var(--accent); color: var(--panel);
        }
        dl {
          display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .35rem 1.25rem; margin: 0;
          padding: .9rem 1rem;
        }
        dt { color: var(--quiet); }
        dd { margin: 0; }
        .player { margin: 1rem 0; }
        .player video {
          display: block; width: 100%; max-height: 78vh; aspect-ratio: auto 16 / 9; background: #000;
          border-radius: .75rem;
        }
        .player audio { display: block; width: 100%; }
        .empty { padding: 2rem 1rem; text-align: center; color: var(--quiet); }
        @media (max-width: 40rem) {
          .films { grid-template-columns: repeat(2, minmax(0, 1fr)); }
          ul.rows > li { grid-template-columns: 1.5rem minmax(0, 1fr) auto; }
          ul.rows .name { grid-column: 2 / -1; }
          ul.rows .size { grid-column: 2; text-align: left; }
          ul.rows .date { display: none; }
          ul.rows .actions { grid-column: 3; }
          dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
          dd { margin-bottom: .6rem; }
        }

        """
}
