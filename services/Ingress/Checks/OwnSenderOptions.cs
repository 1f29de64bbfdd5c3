namespace MailPipeline.Ingress.Checks;

/// <summary>As whom a user of ours may send. Section "Ingress:Checks:OwnSender".</summary>
public sealed class OwnSenderOptions
{
    /// <summary>Authenticated users may give any sender address, not only their own. Default false.</summary>
    public bool AllowForeign { get; set; }

    internal ListenerKinds AskedOn => AllowForeign ? ListenerKinds.None : ListenerKinds.All;
}
