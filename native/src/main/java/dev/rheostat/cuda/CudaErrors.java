package dev.rheostat.cuda;

import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The CUresult codes of cuda.h (CUDA 13.0): their names, which of them end a context, and what a user can do. */
final class CudaErrors {
    /** A code of ours, where there was no driver to give one. */
    static final int NO_DRIVER = -1;
    /** A code of ours: the driver is there and older than the build needs. */
    static final int DRIVER_TOO_OLD = -2;
    /** A code of ours: a library other than the driver is not there. */
    static final int NO_LIBRARY = -3;

    static final int INVALID_VALUE = 1;
    static final int OUT_OF_MEMORY = 2;
    static final int DEINITIALIZED = 4;
    static final int NO_DEVICE = 100;
    static final int INVALID_DEVICE = 101;
    static final int NOT_FOUND = 500;
    static final int NOT_READY = 600;
    static final int NOT_SUPPORTED = 801;
    static final int GRAPH_EXEC_UPDATE_FAILURE = 910;

    private static final Map<Integer, String> NAMES = Stream.of("""
            1:INVALID_VALUE 2:OUT_OF_MEMORY 3:NOT_INITIALIZED 4:DEINITIALIZED 5:PROFILER_DISABLED 6:PROFILER_NOT_INITIALIZED
            7:PROFILER_ALREADY_STARTED 8:PROFILER_ALREADY_STOPPED 34:STUB_LIBRARY 36:CALL_REQUIRES_NEWER_DRIVER
            46:DEVICE_UNAVAILABLE 100:NO_DEVICE 101:INVALID_DEVICE 102:DEVICE_NOT_LICENSED 200:INVALID_IMAGE
            201:INVALID_CONTEXT 202:CONTEXT_ALREADY_CURRENT 205:MAP_FAILED 206:UNMAP_FAILED 207:ARRAY_IS_MAPPED
            208:ALREADY_MAPPED 209:NO_BINARY_FOR_GPU 210:ALREADY_ACQUIRED 211:NOT_MAPPED 212:NOT_MAPPED_AS_ARRAY
            213:NOT_MAPPED_AS_POINTER 214:ECC_UNCORRECTABLE 215:UNSUPPORTED_LIMIT 216:CONTEXT_ALREADY_IN_USE
            217:PEER_ACCESS_UNSUPPORTED 218:INVALID_PTX 219:INVALID_GRAPHICS_CONTEXT 220:NVLINK_UNCORRECTABLE
            221:JIT_COMPILER_NOT_FOUND 222:UNSUPPORTED_PTX_VERSION 223:JIT_COMPILATION_DISABLED
            224:UNSUPPORTED_EXEC_AFFINITY 225:UNSUPPORTED_DEVSIDE_SYNC 226:CONTAINED 300:INVALID_SOURCE 301:FILE_NOT_FOUND
            302:SHARED_OBJECT_SYMBOL_NOT_FOUND 303:SHARED_OBJECT_INIT_FAILED 304:OPERATING_SYSTEM 400:INVALID_HANDLE
            401:ILLEGAL_STATE 402:LOSSY_QUERY 500:NOT_FOUND 600:NOT_READY 700:ILLEGAL_ADDRESS 701:LAUNCH_OUT_OF_RESOURCES
            702:LAUNCH_TIMEOUT 703:LAUNCH_INCOMPATIBLE_TEXTURING 704:PEER_ACCESS_ALREADY_ENABLED 705:PEER_ACCESS_NOT_ENABLED
            708:PRIMARY_CONTEXT_ACTIVE 709:CONTEXT_IS_DESTROYED 710:ASSERT 711:TOO_MANY_PEERS
            712:HOST_MEMORY_ALREADY_REGISTERED 713:HOST_MEMORY_NOT_REGISTERED 714:HARDWARE_STACK_ERROR
            715:ILLEGAL_INSTRUCTION 716:MISALIGNED_ADDRESS 717:INVALID_ADDRESS_SPACE 718:INVALID_PC 719:LAUNCH_FAILED
            720:COOPERATIVE_LAUNCH_TOO_LARGE 721:TENSOR_MEMORY_LEAK 800:NOT_PERMITTED 801:NOT_SUPPORTED 802:SYSTEM_NOT_READY
            803:SYSTEM_DRIVER_MISMATCH 804:COMPAT_NOT_SUPPORTED_ON_DEVICE 805:MPS_CONNECTION_FAILED 806:MPS_RPC_FAILURE
            807:MPS_SERVER_NOT_READY 808:MPS_MAX_CLIENTS_REACHED 809:MPS_MAX_CONNECTIONS_REACHED 810:MPS_CLIENT_TERMINATED
            811:CDP_NOT_SUPPORTED 812:CDP_VERSION_MISMATCH 900:STREAM_CAPTURE_UNSUPPORTED 901:STREAM_CAPTURE_INVALIDATED
            902:STREAM_CAPTURE_MERGE 903:STREAM_CAPTURE_UNMATCHED 904:STREAM_CAPTURE_UNJOINED 905:STREAM_CAPTURE_ISOLATION
            906:STREAM_CAPTURE_IMPLICIT 907:CAPTURED_EVENT 908:STREAM_CAPTURE_WRONG_THREAD 909:TIMEOUT
            910:GRAPH_EXEC_UPDATE_FAILURE 911:EXTERNAL_DEVICE 912:INVALID_CLUSTER_SIZE 913:FUNCTION_NOT_LOADED
            914:INVALID_RESOURCE_TYPE 915:INVALID_RESOURCE_CONFIGURATION 916:KEY_ROTATION 999:UNKNOWN
            """.split("\\s+"))
            .map(entry -> entry.split(":"))
            .collect(Collectors.toUnmodifiableMap(
                    entry -> Integer.valueOf(entry[0]), entry -> "CUDA_ERROR_" + entry[1], (a, b) -> a));

    /**
     * After one of these every call of the context fails with the same code, and only a new process helps: cuda.h says so of
     * most of them. 999 is what a device that has fallen off the bus gives.
     */
    private static final Set<Integer> STICKY =
            Set.of(DEINITIALIZED, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 999);

    private static final Map<Integer, String> CURES = cures();

    private CudaErrors() {}

    /** CUDA's name of a code. */
    static String name(int code) {
        return switch (code) {
            case NO_DRIVER -> "no CUDA driver";
            case DRIVER_TOO_OLD -> "CUDA driver too old";
            case NO_LIBRARY -> "a library of CUDA is missing";
            default -> NAMES.getOrDefault(code, "an unknown CUresult");
        };
    }

    static boolean sticky(int code) {
        return STICKY.contains(code);
    }

    /** One sentence, or "" where none is known. */
    static String cure(int code) {
        return CURES.getOrDefault(code, "");
    }

    private static Map<Integer, String> cures() {
        String invalidImage = "The kernel images of this build do not fit the device or the driver:"
                + " rebuild them for its compute capability, or install a newer driver.";
        String kernelFault = "A kernel has failed and the CUDA context is lost: resume from the last checkpoint;"
                + " compute-sanitizer names the kernel and the line.";
        String brokenDevice = "The device has failed: look at nvidia-smi -q and the kernel log (Xid),"
                + " reset it or choose another with device: cuda:N, then resume from the last checkpoint.";
        return Stream.of(
                        on(NO_DRIVER, "Install NVIDIA's driver 580 or newer, or use device: cpu."),
                        on(
                                NO_LIBRARY,
                                "Install it with CUDA 12 or 13 or by pip (nvidia-cublas, nvidia-cublas-cu12), or name its"
                                        + " folder in RHEOSTAT_CUDA_LIBRARIES."),
                        on(
                                OUT_OF_MEMORY,
                                "Use a smaller micro-batch, or free the device's memory (nvidia-smi lists who holds it)."),
                        on(34, "This is the toolkit's stub of libcuda: take lib64/stubs out of LD_LIBRARY_PATH."),
                        on(36, "Install a newer driver."),
                        on(
                                46,
                                "The device is in use by another process in exclusive mode: look at nvidia-smi, or choose another"
                                        + " with device: cuda:N."),
                        on(
                                NO_DEVICE,
                                "No GPU is visible: look at nvidia-smi and CUDA_VISIBLE_DEVICES, or use device: cpu."),
                        on(INVALID_DEVICE, "There is no such device: rheostat doctor lists those that are there."),
                        on(200, invalidImage),
                        on(209, invalidImage),
                        on(214, brokenDevice),
                        on(218, invalidImage),
                        on(220, brokenDevice),
                        on(221, invalidImage),
                        on(222, invalidImage),
                        on(226, brokenDevice),
                        on(
                                NOT_FOUND,
                                "The kernel images are of another build: build again, or take the images and jars of one build."),
                        on(700, kernelFault),
                        on(701, "The launch asks for more registers or shared memory than the device has."),
                        on(702, kernelFault),
                        on(709, kernelFault),
                        on(710, kernelFault),
                        on(714, kernelFault),
                        on(715, kernelFault),
                        on(716, kernelFault),
                        on(717, kernelFault),
                        on(718, kernelFault),
                        on(719, kernelFault),
                        on(721, kernelFault),
                        on(800, "The device is not permitted to do this, mostly by its administrator or MIG."),
                        on(
                                802,
                                "The system is not ready: on machines with NVSwitch start nvidia-fabricmanager, of the driver's"
                                        + " version; else look at nvidia-smi."),
                        on(
                                803,
                                "The driver's library and its kernel module are of different versions: reboot, or reinstall"
                                        + " the driver."),
                        on(804, "The forward-compatibility libcuda does not serve this device: take cuda-compat away."),
                        on(999, brokenDevice))
                .collect(Collectors.toUnmodifiableMap(Map.Entry::getKey, Map.Entry::getValue));
    }

    private static Map.Entry<Integer, String> on(int code, String cure) {
        return Map.entry(code, cure);
    }
}
