/* Takes the place of the room's first source. */
typedef int placeholder;
