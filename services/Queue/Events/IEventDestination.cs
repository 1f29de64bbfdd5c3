using MailPipeline.Mail;

namespace MailPipeline.Queue.Events;

/// <summary>Where a receiver's events go.</summary>
internal interface IEventDestination
{
    /// <summary>Sends them in their order. Of one message none is taken whose predecessor is not.</summary>
    Task<EventsSent> SendAsync(IReadOnlyList<WaitingEvent> events, CancellationToken cancellationToken);
}

/// <summary>What became of events that were sent.</summary>
/// <param name="Taken">Those that the receiver has.</param>
/// <param name="Fault">Why he has not all of them; empty: he has.</param>
/// <param name="IsTooMuch">Fewer at a time may do.</param>
/// <param name="RetryAfter">How long he wants to be left alone; null: he says nothing.</param>
/// <param name="IsRefused">He has read it and does not want it as it is: one of the events may be why.</param>
internal readonly record struct EventsSent(
    IReadOnlyList<WaitingEvent> Taken, string Fault = "", bool IsTooMuch = false, TimeSpan? RetryAfter = null, bool IsRefused = false);
