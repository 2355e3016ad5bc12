#!/bin/sh
# Puts sample media into a folder that has none: films that ffmpeg makes, else the tiny ones of Tests/Fixtures/media.
#
#   scripts/sample-media.sh DIR
#
# A folder with files of its own is left alone. ffmpeg's films are 75 s of a moving pattern with the time burnt in, one
# picture stream in three containers (MP4 with its index in front, MP4 with its index at the end, MKV), a smaller
# WebM, and subtitles beside the MKV.
set -eu

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 64; }
dir=$1
here=$(cd "$(dirname "$0")" && pwd)
seconds=75

mkdir -p "$dir"
if [ -n "$(find -L "$dir" -type f ! -name '.*' -print | head -n 1)" ]; then
    exit 0
fi

copy_tiny() {
    cp "$here"/../Tests/Fixtures/media/* "$dir"/
    echo "sample media: copied 10 s films to $dir"
    exit 0
}

command -v ffmpeg >/dev/null 2>&1 || copy_tiny
work=$(mktemp -d "$dir/.sample.XXXXXX")
webm=
trap 'kill ${webm:-} 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The time and the frame number in the picture, if there is a font to write them with.
text=
for font in /usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf /usr/share/fonts/*/*/*Mono*.ttf \
    /usr/share/fonts/*/*/*.ttf; do
    [ -f "$font" ] || continue
    style="fontfile=$font:fontsize=h/9:fontcolor=white:box=1:boxcolor=black@0.6:boxborderw=8"
    text=",drawtext=$style:x=(w-tw)/2:y=h-2*th:text='%{pts\\:hms}  %{n}'"
    break
done

# usage: (film SIZE FRAMES_PER_SECOND VIDEO_FILTERS OUTPUT_OPTIONS...), in a subshell that becomes ffmpeg
film() {
    size=$1 rate=$2 filters=$3
    shift 3
    exec ffmpeg -nostdin -v error -y \
        -f lavfi -i "testsrc2=size=$size:rate=$rate:duration=$seconds" \
        -f lavfi -i "sine=frequency=220:beep_factor=4:sample_rate=48000:duration=$seconds" \
        -vf "${filters}format=yuv420p$text" "$@"
}

(film 320x180 20 "" -c:v libvpx -deadline realtime -cpu-used 16 -b:v 800k -g 40 \
    -c:a libvorbis -b:a 64k "$work/film.webm" 2>"$work/webm.log") &
webm=$!
# Noise keeps the rate near that of a film, so that no player holds the whole of it at once.
(film 640x360 25 "noise=alls=12:allf=t," -c:v libx264 -preset ultrafast -b:v 4M -maxrate 5M -bufsize 4M -g 50 \
    -c:a aac -b:a 96k "$work/film-index-end.mp4" 2>"$work/film.log") || { cat "$work/film.log" >&2; copy_tiny; }
ffmpeg -nostdin -v error -y -i "$work/film-index-end.mp4" -c copy -movflags +faststart "$work/film-index-front.mp4"
ffmpeg -nostdin -v error -y -i "$work/film-index-end.mp4" -c copy "$work/film.mkv"

second=0
: >"$work/film.en.srt"
printf 'WEBVTT\n\n' >"$work/film.de.vtt"
while [ "$second" -lt "$seconds" ]; do
    from=$(printf '00:%02d:%02d' $((second / 60)) $((second % 60)))
    to=$(printf '00:%02d:%02d' $(((second + 4) / 60)) $(((second + 4) % 60)))
    printf '%d\n%s,000 --> %s,500\nThis is second %d.\n\n' $((second / 5 + 1)) "$from" "$to" "$second" \
        >>"$work/film.en.srt"
    printf '%s.000 --> %s.500\nDies ist Sekunde %d.\n\n' "$from" "$to" "$second" >>"$work/film.de.vtt"
    second=$((second + 5))
done

wait "$webm" || cp "$here/../Tests/Fixtures/media/film.webm" "$work"/
webm=
rm -f "$work"/*.log
mv "$work"/* "$dir"/
echo "sample media: made $seconds s films in $dir"
