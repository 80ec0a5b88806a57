// The form of ids in which a bag is empty. TensorFlow reduces an empty bag of a rectangle and an
// empty list to different numbers, which an option of the layers asks for.
#pragma once

namespace keyshard {

enum class EmptyForm { rectangle, ragged };

}  // namespace keyshard
