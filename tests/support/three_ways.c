/* three_ways.c: gives a library, called small, two pictures from standard input in every way there is. Prints a line for
 * each result: what was called, its status, and the scores. ROW_TYPE is the type of the pixels that the library takes,
 * RUN_WHOLE its function for a whole picture. */
#include <small.h>
#include <stdio.h>
#include <string.h>

enum { HEIGHT = SMALL_INPUT_HEIGHT, WIDTH = SMALL_INPUT_WIDTH, ROW = WIDTH * SMALL_INPUT_CHANNELS };

static ROW_TYPE pictures[2][HEIGHT][ROW];
static int8_t scores[SMALL_OUTPUT_BYTES];
__attribute__((aligned(SMALL_ARENA_ALIGNMENT))) static int8_t arenas[2][SMALL_ARENA_BYTES];
__attribute__((aligned(SMALL_ARENA_ALIGNMENT))) static int8_t odd_arena[SMALL_ARENA_BYTES + 1];

typedef struct {
    int picture;
    int32_t rows;                 /* it gives up beyond them */
    int32_t reads[HEIGHT][WIDTH]; /* of each pixel */
    int32_t rows_back;            /* reads of a row above the one before */
    int32_t last_row;
} camera_t;

static int read_camera(void *context, int32_t row, int32_t column, int32_t columns, ROW_TYPE *pixels)
{
    camera_t *const camera = (camera_t *)context;
    if (row < 0 || row >= camera->rows || column < 0 || columns < 1 || column + columns > WIDTH) {
        return 7;
    }
    for (int32_t x = column; x < column + columns; ++x) {
        camera->reads[row][x] += 1;
    }
    camera->rows_back += row < camera->last_row;
    camera->last_row = row;
    memcpy(pixels, &pictures[camera->picture][row][column * SMALL_INPUT_CHANNELS],
           (size_t)columns * SMALL_INPUT_CHANNELS);
    return 0;
}

static camera_t camera_of(int picture, int32_t rows)
{
    camera_t camera;
    memset(&camera, 0, sizeof camera);
    camera.picture = picture;
    camera.rows = rows;
    return camera;
}

static void show(const char *what, int status)
{
    printf("%s %d", what, status);
    for (int i = 0; i < SMALL_OUTPUT_BYTES; ++i) {
        printf(" %d", scores[i]);
    }
    printf("\n");
    memset(scores, 99, sizeof scores);
}

static int whole(int picture)
{
    return RUN_WHOLE(&pictures[picture][0][0], scores);
}

static int rows_until(int picture, int32_t rows)
{
    camera_t camera = camera_of(picture, rows);
    return small_run_rows(read_camera, &camera, scores);
}

/* A picture without begin(); the number of rows of which more was wanted comes to 100 * status. */
static int push(small_push_t *state, int picture)
{
    int more = 0, status = SMALL_MORE;
    for (int y = 0; y < HEIGHT && status == SMALL_MORE; ++y) {
        status = small_push_row(state, pictures[picture][y], scores);
        more += status == SMALL_MORE;
    }
    return 100 * status + more;
}

static void push_interleaved(void)
{
    static int8_t of_both[2][SMALL_OUTPUT_BYTES];
    static small_push_t states[2];
    int status[2] = {0, 0};
    small_push_begin(&states[0]);
    small_push_begin(&states[1]);
    for (int y = 0; y < HEIGHT; ++y) {
        for (int i = 0; i < 2; ++i) {
            status[i] = small_push_row_in_arena(arenas[i], SMALL_ARENA_BYTES, &states[i], pictures[i][y], of_both[i]);
        }
    }
    for (int i = 0; i < 2; ++i) {
        memcpy(scores, of_both[i], sizeof scores);
        show(i == 0 ? "interleaved_first" : "interleaved_second", status[i]);
    }
}

static void show_errors(void)
{
    static small_push_t state;
    camera_t camera = camera_of(0, HEIGHT);
    ROW_TYPE *const row = pictures[0][0];
    const size_t bytes = SMALL_ARENA_BYTES;
    small_push_begin(&state);
    printf("null %d %d %d %d %d %d\n", RUN_WHOLE(NULL, scores), RUN_WHOLE(row, NULL),
           small_run_rows(NULL, &camera, scores), small_run_rows(read_camera, &camera, NULL),
           small_push_row(NULL, row, scores), small_push_row(&state, NULL, scores));
    printf("no_arena %d %d\n", small_run_rows_in_arena(NULL, bytes, read_camera, &camera, scores),
           small_push_row_in_arena(NULL, bytes, &state, row, scores));
    printf("small_arena %d %d\n", small_run_rows_in_arena(arenas[0], bytes - 1, read_camera, &camera, scores),
           small_push_row_in_arena(arenas[0], bytes - 1, &state, row, scores));
    printf("odd_arena %d %d\n", small_run_rows_in_arena(odd_arena + 1, bytes, read_camera, &camera, scores),
           small_push_row_in_arena(odd_arena + 1, bytes, &state, row, scores));
}

static void show_reads(void)
{
    camera_t camera = camera_of(0, HEIGHT);
    int32_t most = 0;
    small_run_rows(read_camera, &camera, scores);
    for (int y = 0; y < HEIGHT; ++y) {
        for (int x = 0; x < WIDTH; ++x) {
            most = camera.reads[y][x] > most ? camera.reads[y][x] : most;
        }
    }
    printf("reads %d %d\n", (int)most, (int)camera.rows_back);
}

int main(void)
{
    small_push_t state;
    if (fread(pictures, 1, sizeof pictures, stdin) != sizeof pictures) {
        return 1;
    }
    memset(&state, 0x5A, sizeof state);
    memset(arenas, 0x5A, sizeof arenas);
    show("whole_first", whole(0));
    show("rows_first", rows_until(0, HEIGHT));
    show("rows_second", rows_until(1, HEIGHT));
    show("gave_up_at_once", rows_until(0, 0));
    show("gave_up", rows_until(0, HEIGHT / 2));
    show("whole_second", whole(1));
    small_push_begin(&state);
    show("push_first", push(&state, 0));
    show("push_second", push(&state, 1));
    small_push_row(&state, pictures[0][0], scores); /* a picture that ends early */
    small_push_row(&state, pictures[0][1], scores);
    small_push_begin(&state);
    show("push_anew", push(&state, 1));
    push_interleaved();
    show_errors();
    show_reads();
    return 0;
}
