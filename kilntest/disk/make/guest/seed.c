/* Tells the kernel that its random numbers are good from the start. A guest under software
   emulation has no source of them and waits for seconds. Its keys are no secrets: it is a test's. */
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

int main(void) {
	struct {
		struct rand_pool_info info;
		char bytes[64];
	} seed;
	struct timespec now;
	int fd = open("/dev/urandom", O_WRONLY);
	memset(&seed, 0, sizeof seed);
	clock_gettime(CLOCK_REALTIME, &now);
	memcpy(seed.bytes, &now, sizeof now);
	clock_gettime(CLOCK_MONOTONIC, &now);
	memcpy(seed.bytes + sizeof now, &now, sizeof now);
	seed.info.entropy_count = 8 * sizeof seed.bytes;
	seed.info.buf_size = sizeof seed.bytes;
	return fd < 0 || ioctl(fd, RNDADDENTROPY, &seed) < 0;
}
