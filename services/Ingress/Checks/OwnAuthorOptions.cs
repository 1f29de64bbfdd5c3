namespace MailPipeline.Ingress.Checks;

/// <summary>Of whom a submitted message may say that it is. Section "Ingress:Checks:OwnAuthor".</summary>
public sealed class OwnAuthorOptions
{
    /// <summary>
    /// From and Sender of a submitted message may name anybody, not only the user. Default: as OwnSender:AllowForeign, which is false.
    /// </summary>
    public bool? AllowForeign { get; set; }

    internal ListenerKinds AskedOn(OwnSenderOptions sender) => AllowForeign ?? sender.AllowForeign ? ListenerKinds.None : ListenerKinds.Submission;
}
