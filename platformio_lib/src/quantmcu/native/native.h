/* native.h: which backend the compiler's target has. The knobs are in quantmcu_config.h.
 *
 * A backend is a folder: its meta.h lists the primitives that it replaces, <primitive>.c holds them and compiles to
 * nothing on other targets. */
#ifndef QMCU_NATIVE_NATIVE_H
#define QMCU_NATIVE_NATIVE_H

#include "../../quantmcu_config.h"

/* QMCU_HAVE_DSP: Cortex-M with the DSP extension (M4, M7, M33 and later ones), little-endian. These cores load words and
 * halfwords from any address unless a program sets CCR.UNALIGN_TRP. It says so with -mno-unaligned-access to GCC, with
 * QMCU_PORTABLE to clang, whose default for bare metal is the former. */
#if !QMCU_PORTABLE && defined(__GNUC__) && defined(__ARM_FEATURE_DSP) && \
    (defined(__ARM_FEATURE_UNALIGNED) || defined(__clang__)) && defined(__ARM_ARCH_PROFILE) && \
    __ARM_ARCH_PROFILE == 'M' && !defined(__ARM_BIG_ENDIAN)
#define QMCU_HAVE_DSP 1
#else
#define QMCU_HAVE_DSP 0
#endif

/* QMCU_BACKEND: what runs the hot loops. */
#if QMCU_NATIVE && QMCU_HAVE_DSP
#define QMCU_BACKEND "cortexm_dsp"
#else
#define QMCU_BACKEND "portable"
#endif

#if QMCU_REQUIRE_NATIVE && QMCU_NATIVE && !QMCU_HAVE_DSP
#error "QMCU_REQUIRE_NATIVE: the target has no backend (see quantmcu/native/native.h); its CPU flags may be missing"
#endif

#if QMCU_HAVE_DSP
#include "cortexm_dsp/meta.h"
#endif

#endif
