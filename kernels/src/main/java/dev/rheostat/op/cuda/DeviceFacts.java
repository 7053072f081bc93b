package dev.rheostat.op.cuda;

import dev.rheostat.cuda.CudaApi;
import dev.rheostat.cuda.DeviceAttribute;

/**
 * What launchers ask of a device, read without a context, so that a plan takes nothing of it.
 * @param multiprocessors SMs
 * @param sharedBytesPerBlock most dynamic shared memory that a block can have
 * @param computeCapability 10 major + minor, as 90
 */
record DeviceFacts(int multiprocessors, int sharedBytesPerBlock, int computeCapability) {
    /** @param device a CUdevice @throws CudaException if there is no such device */
    static DeviceFacts of(CudaApi api, int device) {
        return new DeviceFacts(
                api.deviceAttribute(DeviceAttribute.MULTIPROCESSOR_COUNT, device),
                api.deviceAttribute(DeviceAttribute.SHARED_BYTES_PER_BLOCK_OPTIN, device),
                10 * api.deviceAttribute(DeviceAttribute.COMPUTE_CAPABILITY_MAJOR, device)
                        + api.deviceAttribute(DeviceAttribute.COMPUTE_CAPABILITY_MINOR, device));
    }
}
