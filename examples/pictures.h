/*
 * Little pictures and what is to be seen in them, in English and Chinese: the data of caption
 * without a file. Everything follows from a seed.
 *
 *     r..r.....
 *     .rr......   a red cross at the top left and a blue bar at the top right
 *     .rr..bbbb   左上有红色的叉，右上有蓝色的横条
 *     r..r.bbbb
 *
 * A scene is one or two of 4 shapes in 4 colours, in different corners. One in eight of the 1,600
 * scenes is for testing only: all of its parts were seen in training, but never together.
 */
#ifndef EXAMPLES_PICTURES_H
#define EXAMPLES_PICTURES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { PICTURES_SIDE = 9, PICTURES_FEATURES = 3 * PICTURES_SIDE * PICTURES_SIDE };

typedef struct picture {
    float rgb[PICTURES_FEATURES]; /* [row, column, 3], 0 .. 1, and noise */
    char english[96], chinese[96];
} picture;

/* n pictures of scenes for training, or of those for testing. */
void pictures_generate(uint64_t seed, bool test, int n, picture *p);
void pictures_draw(FILE *f, const picture *p);

#endif
