/* SPDX-License-Identifier: Apache-2.0 */
/* What kernel/fs/ needs of the other parts: nothing here sleeps, as there is one thread. */
#include "tests/unit/kernel_fs.h"

#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/vma.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/virtio/fuse.h"
#include "tests/unit/kernel_host.h"

struct list processes = LIST_INIT(processes);
uint64_t machine_now_ns;
extern struct lampo_boot_info *boot_info;

/* ---- program memory: the test's ---- */

static bool bad(uint64_t va) { return va < PAGE_SIZE; }

int user_read(void *to, uint64_t from, uint64_t bytes)
{
	if (bytes > 0 && bad(from))
		return -EFAULT;
	memcpy(to, (const void *)from, bytes);
	return 0;
}

int user_write(uint64_t to, const void *from, uint64_t bytes)
{
	if (bytes > 0 && bad(to))
		return -EFAULT;
	memcpy((void *)to, from, bytes);
	return 0;
}

int user_zero(uint64_t to, uint64_t bytes)
{
	if (bytes > 0 && bad(to))
		return -EFAULT;
	memset((void *)to, 0, bytes);
	return 0;
}

int64_t user_string(char *to, uint64_t from, uint64_t size)
{
	size_t length;

	if (bad(from))
		return -EFAULT;
	length = strnlen((const char *)from, size);
	if (length == size)
		return -ENAMETOOLONG;
	memcpy(to, (const void *)from, length + 1);
	return (int64_t)length;
}

int user_prepare(uint64_t va, uint64_t bytes, bool write)
{
	(void)write;
	return bytes > 0 && bad(va) ? -EFAULT : 0;
}

void *user_page(uint64_t va, bool write, struct page **page)
{
	(void)va;
	(void)write;
	(void)page;
	return NULL;
}

bool mm_vma_info(struct mm *mm, uint64_t va, struct vma_info *info)
{
	(void)mm;
	(void)va;
	(void)info;
	return false;
}

/* No program maps anything in these tests. */
void vma_clean_mappings(struct cache *cache) { (void)cache; }
void vma_unmap_cache(struct cache *cache, uint64_t from)
{
	(void)cache;
	(void)from;
}
void vma_unmap_image(struct cache *cache, uint64_t index)
{
	(void)cache;
	(void)index;
}
void vma_unmap_clean(struct cache *cache) { (void)cache; }
void page_table_init(void);
void page_table_init(void) {}
void epoll_file_released(struct file *file);
void epoll_file_released(struct file *file) { (void)file; }

/* ---- processes and waiting ---- */

void wait_queue_init(struct wait_queue *queue) { list_init(&queue->waiters); }
void waiter_init(struct waiter *waiter)
{
	memset(waiter, 0, sizeof(*waiter));
	list_init(&waiter->node);
}
void wait_add(struct wait_queue *queue, struct waiter *waiter) { list_add_tail(&queue->waiters, &waiter->node); }
void wait_remove(struct waiter *waiter) { list_remove(&waiter->node); }
unsigned wait_wake(struct wait_queue *queue, uint32_t events, unsigned limit)
{
	(void)queue;
	(void)events;
	(void)limit;
	return 0;
}
int wait_sleep(struct waiter *waiter, uint64_t deadline_ns, bool interruptible)
{
	(void)waiter;
	(void)deadline_ns;
	kassert(interruptible); /* for ever, otherwise */
	return -EINTR;
}
void mutex_init(struct mutex *mutex) { mutex->owner = NULL; }
void mutex_lock(struct mutex *mutex)
{
	kassert(mutex->owner == NULL);
	mutex->owner = &host_thread;
}
void mutex_unlock(struct mutex *mutex)
{
	kassert(mutex->owner == &host_thread);
	mutex->owner = NULL;
}
struct process *process_find(int pid) { return pid == host_process.pid ? &host_process : NULL; }
struct thread *thread_find(int tid) { return tid == host_process.pid ? &host_thread : NULL; }
int signal_send_thread(struct thread *thread, int signal, const siginfo_t *info)
{
	(void)thread;
	(void)signal;
	(void)info;
	return 0;
}
unsigned sched_runnable(void) { return 1; }
uint64_t process_cpu_ns(const struct process *process)
{
	(void)process;
	return 0;
}
uint64_t clock_monotonic(void) { return machine_now_ns; }
uint64_t clock_realtime(void) { return 1700000000ull * NS_PER_SECOND + machine_now_ns; }
const char *misc_hostname(void);
const char *misc_hostname(void) { return "vm"; }

/* ---- booting ---- */

static void start(enum fs_machine_kind kind)
{
	static char *strings;
	struct lampo_boot_info *info = boot_info;

	/* The targets' texts lie behind a pointer difference from the boot information. */
	static char text[] = "/\0/vol";
	strings = text;
	info->mount_count = kind == FS_OVERLAY || kind == FS_IMAGE ? 1 : 2;
	info->cpu_count = 1;
	info->mounts[0] =
	    (struct lampo_boot_mount){0, LAMPO_MOUNT_OVERLAY, (uint64_t)(strings - (char *)info), MOCK_NODE_ROOT};
	if (kind == FS_IMAGE)
		info->mounts[0].flags |= LAMPO_MOUNT_IMAGE;
	info->mounts[1] = (struct lampo_boot_mount){0, kind == FS_VOLUME ? 0 : LAMPO_MOUNT_READ_ONLY,
						    (uint64_t)(strings + 2 - (char *)info), MOCK_NODE_ROOT};
}

int fs_machine_try(enum fs_machine_kind kind)
{
	machine_now_ns = 5 * NS_PER_SECOND;
	list_init(&supers);
	list_init(&host_process.threads);
	host_process.thread_count = 1;
	host_thread.tid = host_process.pid;
	host_process.credentials.cap_effective = ~0ull;
	host_process.credentials.cap_permitted = ~0ull;
	host_process.limits[RLIMIT_NOFILE].rlim_cur = 1024;
	if (list_empty(&processes))
		list_add_tail(&processes, &host_process.node);
	start(kind);
	return fs_init();
}

void fs_machine_start(enum fs_machine_kind kind) { kassert(fs_machine_try(kind) == 0); }
