using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults;

/// <summary>Section <c>Host</c>: how a process of its own stops.</summary>
public sealed class StopOptions
{
    public const string Section = "Host";

    /// <summary>
    /// How long a stop may take after SIGTERM: for the message being received, the reply of a far end, the hand-back of
    /// claims. Default 30 s, Kubernetes' own; its terminationGracePeriodSeconds must be longer.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:30:00")]
    public TimeSpan StopGrace { get; set; } = TimeSpan.FromSeconds(30);
}

[OptionsValidator]
internal sealed partial class StopOptionsValidator : IValidateOptions<StopOptions>;
