/* window.h: the part of a pooling window that lies within the image. */
#ifndef QMCU_CORE_WINDOW_H
#define QMCU_CORE_WINDOW_H

#include "part.h"

/* The window of output pixel (oy, ox), clipped to the image; never empty. */
static inline qmcu_region_t qmcu_window(qmcu_shape_t in, qmcu_size_t size, qmcu_size_t stride, qmcu_margin_t pad,
                                        int32_t oy, int32_t ox)
{
    const int32_t y = oy * stride.h - pad.top, x = ox * stride.w - pad.left;
    qmcu_region_t window;
    window.top = y < 0 ? 0 : y;
    window.left = x < 0 ? 0 : x;
    window.bottom = y + size.h < in.h ? y + size.h : in.h;
    window.right = x + size.w < in.w ? x + size.w : in.w;
    return window;
}

#endif
