using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>The policy of the door, from the file that <see cref="CheckOptions.PolicyFile"/> names.</summary>
internal sealed class PolicyFile(IOptions<IngressOptions> options, IngressTelemetry telemetry, TimeProvider time, ILogger<PolicyFile> log)
    : PolicyWatch<DoorPolicy>(
        new(options.Value.Checks.PolicyFile, PolicyOptions.SectionName, typeof(PolicyOptions), FirstEvent: 1040), DoorPolicy.Off,
        (bytes, failures) => Parse(bytes, options.Value.Listeners, failures), telemetry.PolicyRead, time, log)
{
    /// <summary>What counts now; the same object until the file changes.</summary>
    public DoorPolicy Current => Policy;

    /// <summary>Says what is wrong with a file, as its setting's failures.</summary>
    internal static void Validate(string setting, string path, IEnumerable<ListenerOptions> listeners, List<string> failures) =>
        PolicyFiles.Validate(setting, path, (bytes, wrong) => Parse(bytes, listeners, wrong), failures);

    private static DoorPolicy? Parse(byte[] bytes, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        var options = PolicyFiles.ReadOptions<PolicyOptions>(bytes, PolicyOptions.SectionName, failures);
        options?.Validate(listeners, failures);
        return options is null || failures.Count > 0 ? null : new DoorPolicy(options);
    }
}
