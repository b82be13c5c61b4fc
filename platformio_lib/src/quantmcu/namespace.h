/* namespace.h: renames nothing here. In a generated library this file gives each external symbol of the runtime the
 * library's prefix, so that two generated libraries link into one sketch. */
#ifndef QMCU_NAMESPACE_H
#define QMCU_NAMESPACE_H

#endif
