//! QR codes, as a phone reads them from a screen.

/// What a code says that was printed without colours, so that what is light is there: two modules to a character.
pub fn scanned(text: &str) -> String {
    let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
    let scale = 4;
    let (width, height) = (lines[0].len() * scale, lines.len() * 2 * scale);
    let dark = |x: usize, y: usize| match lines[y / scale / 2][x / scale] {
        '█' => false,
        '▀' => !(y / scale).is_multiple_of(2),
        '▄' => (y / scale).is_multiple_of(2),
        _ => true,
    };
    let mut image = rqrr::PreparedImage::prepare_from_bitmap(width, height, dark);
    image.detect_grids()[0].decode().unwrap().1
}
