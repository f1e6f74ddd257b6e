//! Images in requests: their bytes, and whether they are what they are said to be.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The types of images that OpenAI and Anthropic take, by the first bytes of their files.
const IMAGES: &[(&str, &[u8])] = &[
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", b"\xff\xd8\xff"),
    ("image/gif", b"GIF8"),
    ("image/webp", b"RIFF"),
];

/// The refusal of an image, by its type and its bytes in base64.
pub(super) fn wrong_image(media_type: &str, data: &str) -> Option<String> {
    let Ok(bytes) = BASE64_STANDARD.decode(data) else {
        return Some("the image data is not valid base64".to_owned());
    };
    if bytes.is_empty() {
        return Some("image cannot be empty".to_owned());
    }
    if !IMAGES.iter().any(|(known, _)| *known == media_type) {
        return Some(format!(
            "media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp', not '{media_type}'"
        ));
    }
    let found = IMAGES.iter().find(|(_, start)| bytes.starts_with(start));
    let found = found.map_or("unknown", |(found, _)| found);
    (found != media_type).then(|| {
        format!("The image was specified using the {media_type} media type, but the image appears to be a {found} image")
    })
}

/// As before, for an image that a data URL holds.
pub(super) fn wrong_image_url(url: &str) -> Option<String> {
    let Some((media_type, data)) = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"))
    else {
        return (!url.starts_with("https://")).then(|| format!("Invalid image URL: '{url}'"));
    };
    let wrong = wrong_image(media_type, data)?;
    Some(format!(
        "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png', 'jpeg', 'gif', \
         'webp']. ({wrong})"
    ))
}
