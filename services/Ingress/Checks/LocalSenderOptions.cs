namespace MailPipeline.Ingress.Checks;

/// <summary>Whether a stranger may name a sender of a domain of ours. Section "Ingress:Checks:LocalSender".</summary>
public sealed class LocalSenderOptions
{
    /// <summary>Default Accept: forwarders and mailing lists do, with our users' own mail.</summary>
    public LocalSenderPolicy Policy { get; set; }

    internal ListenerKinds AskedOn => Policy == LocalSenderPolicy.Refuse ? ListenerKinds.Mx : ListenerKinds.None;

    internal void Validate(string setting, List<string> failures)
    {
        if (!Enum.IsDefined(Policy))
            failures.Add($"{setting}:Policy is {Policy}; it must be one of {string.Join(", ", Enum.GetNames<LocalSenderPolicy>())}");
    }
}

/// <summary>What becomes of a stranger's mail with a sender of ours.</summary>
public enum LocalSenderPolicy
{
    /// <summary>It is taken like any other.</summary>
    Accept,

    /// <summary>550 5.7.1 at MAIL, and so is mail of ours that a forwarder or a list without a return path of its own sends back.</summary>
    Refuse,
}
