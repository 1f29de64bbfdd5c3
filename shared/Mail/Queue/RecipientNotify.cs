using MailPipeline.Smtp;

namespace MailPipeline.Mail;

/// <summary>
/// What stands in a recipient's column <c>notify</c>: what its sender asked to be told (<see cref="DsnNotify"/>, the lowest four bits), and how
/// far that has been done. The numbers are stored; statements name them.
/// </summary>
internal static class RecipientNotify
{
    /// <summary>A report of success is owed: as long as the recipient waits and when it has been delivered. It is a reference to the content, as a recipient is.</summary>
    public const long OwesSuccess = 16;

    /// <summary>The host that took it delivers itself. Stands only beside <see cref="OwesSuccess"/>, for the report.</summary>
    public const long DeliveredThere = 64;

    public static DsnNotify Asked(long column) => (DsnNotify)(column & 15);
}
