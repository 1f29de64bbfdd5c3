namespace MailPipeline.Administration;

/// <summary>How an act of an operator ended, whatever it was: enough for an exit code or an HTTP status.</summary>
public enum ActStatus
{
    /// <summary>All of it was done, or the question was answered.</summary>
    Done,

    /// <summary>It was understood, and what is there does not allow it, or not all of it.</summary>
    NotDone,

    /// <summary>What was given is no name, password or id: repeating it changes nothing.</summary>
    Refused,
}
