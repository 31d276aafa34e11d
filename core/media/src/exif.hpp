// SPDX-License-Identifier: GPL-3.0-only
// The one thing models need of EXIF and XMP: how the picture has to be turned.
#pragma once

#include "common.hpp"

namespace rlx::media {

// 1..8 of a TIFF block (EXIF without "Exif\0\0"), 0 where it has no valid one. EXIF 2.32, tag
// 0x0112.
int exif_orientation(bytes tiff);
// The same of an XMP packet (tiff:Orientation as attribute or element).
int xmp_orientation(bytes packet);

// Mirrors and turns so that orientation becomes 1. EXIF: 2 mirrored left to right, 3 turned by 180
// degrees, 4 mirrored top to bottom, 5 transposed, 6 to be turned clockwise, 7 transposed along the
// other diagonal, 8 to be turned anticlockwise.
template <class T>
basic_image<T> oriented(basic_image<T> picture, int orientation);

extern template image oriented(image, int);
extern template image16 oriented(image16, int);

} // namespace rlx::media
