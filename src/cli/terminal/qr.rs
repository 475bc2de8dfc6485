//! A link as a QR code, in half blocks: two modules, one above the other, are one character.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use super::style::Paint;

/// Modules around it that are left free.
const QUIET_ZONE: usize = 4;

/// The code, or why there is none. Phones read it dark on light: without colours, as in a terminal that is dark.
pub(super) fn code(link: &str, columns: Option<usize>, paint: Paint) -> Result<String, String> {
    // On a screen nothing is lost, and less is easier to read.
    let code = QrCode::with_error_correction_level(link, EcLevel::L);
    let code = code.map_err(|error| format!("the link does not fit into a QR code: {error}"))?;
    let width = code.width() + 2 * QUIET_ZONE;
    if let Some(columns) = columns.filter(|columns| *columns < width) {
        return Err(format!("the QR code needs {width} columns, and this terminal has {columns}"));
    }
    let mut image = code.render::<Dense1x2>();
    if !paint.on {
        image.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark);
    }
    let lines = image.build();
    Ok(lines.lines().map(|line| paint.paper(line)).collect::<Vec<_>>().join("\n"))
}
