using MailPipeline.ServiceDefaults;

namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// Tells the operator what keeps us from logging in to a smarthost: one line in five minutes for each cause, however many domains wait for it,
/// and one that counts the rest.
/// </summary>
internal sealed class LoginLog(TimeProvider time, ILogger<LoginLog> log) : IDisposable
{
    private static readonly TimeSpan s_window = TimeSpan.FromMinutes(5);

    private readonly LogCap<LoginFault> _faults = new(time, lines: 1, s_window, (fault, count) => log.NoLoginAgain(fault.Text, fault.Cause, count));

    public void Write(LoginFault fault)
    {
        if (log.IsEnabled(LogLevel.Warning) && _faults.MayWrite(fault))
            log.NoLogin(fault.Text, fault.Cause);
    }

    public void Dispose() => _faults.Dispose();
}
